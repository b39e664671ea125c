"""The page cache as a component of a stack."""

from collections.abc import Iterable
from typing import Any

import pytest
from webob import Request

from wsgistack import wrap
from wsgistack.cache.middleware import PageCache
from wsgistack.cache.voice import Voice
from wsgistack.components.conditional import Conditional
from wsgistack.errors import ConfigurationError
from wsgistack.steps import Frames, Fused, Passage


def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def test_it_is_made_by_its_name_with_rules_as_a_file_has_them() -> None:
    stack = wrap(
        app, page_cache={"profile": "rfc9111", "keep": "2m", "rules": [{"path": "/news/*", "ttl": 60}]}
    )
    answers = [Request.blank("/news/1").get_response(stack).headers["Cache-Status"] for _ in range(2)]
    assert answers[0].endswith("; stored")
    assert answers[1].startswith("wsgistack; hit; ")
    assert stack.layer("page_cache").engine.policy.keep_s == 120


def test_it_stands_inside_of_what_must_not_be_stored() -> None:
    stack = wrap(app, page_cache=True, rate_limit="1/minute", compression=True)
    assert [name for name, _ in stack.layers] == ["rate_limit", "page_cache", "compression"]


def test_what_files_say_as_text_is_read_as_text() -> None:
    texts = {
        "secret": "0123456789abcdef",
        "hosts": "example.com, *.example.com",
        "ignored_parameters": "utm_*",
        "key_cookies": "theme=dark|light",
        "rules": "/news/* ttl=1m",
    }
    stack = wrap(app, page_cache=texts)
    cases = [
        ("http://example.com/news/1", "", "uri-miss; ttl=60; stored"),
        ("http://www.example.com/news/1?utm_source=x", "theme=dark", "uri-miss; ttl=60; stored"),
        ("http://www.example.com/news/1", "theme=dark", "hit; ttl=60"),
        ("http://www.example.com/news/1", "theme=light", "uri-miss; ttl=60; stored"),
        ("http://example.net/news/1", "", "bypass; detail=host"),
    ]
    for url, cookie, status in cases:
        told = Request.blank(url, {"HTTP_COOKIE": cookie} if cookie else {}).get_response(stack)
        found = told.headers["Cache-Status"].removeprefix("wsgistack; ").removeprefix("fwd=")
        assert found.replace("ttl=59", "ttl=60") == status


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"rules": [{"path": "news"}]}, "path: 'news' does not begin with '/'"),
        ({"rules": [{"pth": "/news"}]}, r"rules: '\*': 'pth' is not one of .* \(did you mean 'path'\?\)"),
        ({"profile": "anonymus"}, "no profile.*did you mean 'anonymous'"),
    ],
)
def test_what_is_wrong_is_told(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        wrap(app, page_cache=settings)


def test_in_a_frame_with_others_it_answers_what_is_anybody_s_and_lets_pass_what_is_somebody_s() -> None:
    seen: list[Any] = []

    def page(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        seen.append(environ.get("wsgistack.cache"))
        start_response("200 OK", [("Cache-Control", "max-age=60"), ("Cache-Status", "inner; hit")])
        return [b"hello"]

    told: list[str] = []

    class Noted:
        is_step = True

        def enter(self, environ: dict[str, Any], passage: Passage, /) -> None:
            passage.add([("X-Noted", "yes")])

        def at_end(self, passage: Passage, /) -> None:
            told.append(passage.cache_status)

    frames = Frames(page)
    for layer in (Conditional(page), PageCache(Fused((Conditional(page),), page)), Noted()):
        frames.put_around(layer)
    for cookie, last, runs in (
        ("sessionid=1", "wsgistack; fwd=bypass; detail=cookie:sessionid", 1),
        ("_ga=1", "wsgistack; fwd=uri-miss; ttl=", 2),
        ("_ga=1", "wsgistack; hit; ttl=", 2),
        ("sessionid=1", "wsgistack; fwd=bypass; detail=cookie:sessionid", 3),
    ):
        response = Request.blank("/", headers={"Cookie": cookie}).get_response(frames.outermost)
        assert response.headers.getall("Cache-Status")[-1].startswith(last)
        assert (response.headers["X-Noted"], "ETag" in response.headers) == ("yes", True)
        assert response.body == b"hello"  # and closed
        assert told.pop().startswith(last)
        assert (len(seen), all(isinstance(one, Voice) for one in seen)) == (runs, True)
