"""What is told at first sight of an environ is what a closer look tells."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from types import FrameType, ModuleType
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.cache.shop import FRESH, NOW, Closing, Shop, ask, guest, heard_by, page
from wsgistack.cache import making, shortcut, shortcut_cy
from wsgistack.cache.found import Place
from wsgistack.cache.middleware import PageCache
from wsgistack.cache.personal import Personal
from wsgistack.cache.rules import Rule, bypass
from wsgistack.cache.shortcut import OfKind

TWINS = [shortcut, shortcut_cy]


@pytest.fixture(autouse=True, scope="module", params=TWINS, ids=["plain", "compiled"])
def twin(request: pytest.FixtureRequest) -> Iterator[ModuleType]:
    """Make caches with the Shortcut and the Passing of one of the twins."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(making, "Shortcut", request.param.Shortcut)
        patch.setattr(making, "Passing", request.param.Passing)
        yield request.param


def test_a_cache_is_made_with_the_twin_that_is_meant(twin: ModuleType) -> None:
    assert type(guest(Shop())._shortcut) is twin.Shortcut


WORTH_TRYING: dict[str, list[str]] = {
    "REQUEST_METHOD": ["GET", "GET", "GET", "HEAD", "POST", "get"],
    "PATH_INFO": ["/a", "/a", "/b", "/api/x", "//a", "/a/../b"],
    "RAW_URI": ["/a", "/%61", "/b?x=1", "http://evil.example/a"],
    "QUERY_STRING": ["", "", "x=1", "x=1&utm_source=y", "utm_source=y"],
    "SCRIPT_NAME": ["", "/a"],
    "HTTP_HOST": ["example.org", "EXAMPLE.org:80", "evil", "bad host", ""],
    "wsgi.url_scheme": ["http", "https"],
    "HTTP_COOKIE": [
        "",
        "_ga=1",
        "_ga=2; _gid=3",
        "beta=1",
        "beta=2; _ga=1",
        "sessionid=1",
        "nameless",
        "a=b",
    ],
    "HTTP_AUTHORIZATION": ["Basic x"],
    "HTTP_X_FORWARDED_PROTO": ["https", "gopher"],
    "HTTP_X_FORWARDED_HOST": ["evil.example"],
    "HTTP_ACCEPT_LANGUAGE": ["en", "de"],
    "HTTP_CACHE_CONTROL": ["no-cache", "only-if-cached"],
    "HTTP_IF_NONE_MATCH": ['"a"'],
    "HTTP_RANGE": ["bytes=0-1"],
    "CONTENT_LENGTH": ["", "0", "5"],
    "REMOTE_USER": ["me"],
}
BASE = {"REQUEST_METHOD": "GET", "PATH_INFO": "/a", "SERVER_NAME": "example.org", "SERVER_PORT": "80"}
ENVIRONS = st.fixed_dictionaries({}, optional={n: st.sampled_from(v) for n, v in WORTH_TRYING.items()})


def answers(cache: PageCache, environs: list[dict[str, Any]]) -> list[Any]:
    met = []
    for environ in environs:
        heads: list[Any] = []
        given = {**BASE, **environ}
        body = cache(given, heard_by(heads))
        met.append((heads, list(body)))
    return met


def site(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Say what was seen, so that a page in the wrong place shows."""
    seen = [f"{name}={environ[name]}" for name in sorted(WORTH_TRYING) if name in environ]
    vary = [("Vary", "Cookie, Accept-Language")] if environ["PATH_INFO"] == "/b" else []
    start_response("200 OK", [*FRESH, ("ETag", '"a"'), *vary])
    return ["; ".join(seen).encode()]


@pytest.mark.parametrize("profile", ["anonymous", "rfc9111"])
@example(environs=[{}, {"PATH_INFO": "/api/x", "HTTP_COOKIE": "sessionid=1"}])
@given(environs=st.lists(ENVIRONS, min_size=2, max_size=12))
def test_the_short_way_and_the_long_one_agree(profile: str, environs: list[dict[str, Any]]) -> None:
    options: dict[str, Any] = {
        "profile": profile,
        "key_cookies": {"beta": ["1"]},
        "rules": [Rule("/api/*", bypass)],
        "now": lambda: NOW,
    }
    short, long = PageCache(site, **options), PageCache(site, **options, is_personal=lambda request: False)
    assert answers(short, environs) == answers(long, environs)


def test_places_are_forgotten_before_they_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shortcut, "MOST_PLACES", 3)
    shop = Shop(page(b"hello"))
    cache = guest(shop)
    for path in ("/1", "/2", "/3", "/4", "/1", "/4"):
        assert ask(cache, path).body == b"hello"
    assert len(shop.asked) == 4


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"HTTP_COOKIE": "sessionid=1"}, "cookie:sessionid"),
        ({"HTTP_COOKIE": "_ga=1; _gid=2; sessionid=3"}, "cookie:sessionid"),
        ({"HTTP_COOKIE": "_ga=1, sessionid=3"}, "cookie:malformed"),
        ({"HTTP_COOKIE": "sessionid=1", "REQUEST_METHOD": "HEAD"}, "cookie:sessionid"),
        ({"HTTP_COOKIE": "sessionid=1", "HTTP_AUTHORIZATION": "Basic x"}, "cookie:sessionid"),
        ({"HTTP_COOKIE": "_ga=1", "HTTP_AUTHORIZATION": "Basic x"}, "field:authorization"),
        ({"HTTP_X_API_KEY": "x"}, "field:x-api-key"),
    ],
    ids=str,
)
def test_who_is_somebody_is_told_by_the_environ_alone(more: dict[str, str], why: str) -> None:
    assert guest(Shop()).verdict({**BASE, **more}) == Personal(why)


@pytest.mark.parametrize(
    "more",
    [
        {"REQUEST_METHOD": "POST", "HTTP_COOKIE": "sessionid=1"},
        {"HTTP_AUTHORIZATION": "Basic x", "HTTP_X_API_KEY": "x"},
        {"HTTP_IF_NONE_MATCH": '"a"'},
        {"REMOTE_USER": ""},
        {"CONTENT_LENGTH": "0"},
        {"HTTP_X_FORWARDED_PROTO": "https", "REMOTE_USER": ""},
    ],
    ids=str,
)
def test_what_only_a_closer_look_tells_is_left_to_it(more: dict[str, str]) -> None:
    assert guest(Shop()).verdict({**BASE, **more}) is None


def test_a_verdict_is_learned_for_a_page_and_for_a_rule() -> None:
    cache = guest(Shop(page(b"hello")), rules=[Rule("/api/*", bypass)])
    plain, ruled = {**BASE}, {**BASE, "PATH_INFO": "/api/x"}
    assert not isinstance(cache.verdict(plain), Personal | Place)
    for environ in (plain, ruled):
        list(cache({**environ}, heard_by([])))
    assert isinstance(cache.verdict(plain), Place)
    assert cache.verdict(ruled) == Personal("rule")


@pytest.mark.parametrize(
    "more", [{"HTTP_X_FORWARDED_PROTO": "https"}, {"HTTP_COOKIE": "beta=1; _ga=2"}], ids=str
)
def test_a_verdict_is_learned_for_each_kind_of_visitor_and_for_no_other(more: dict[str, str]) -> None:
    cache = guest(Shop(page(b"hello")), key_cookies={"beta": ["1"]})
    for environ in ({**BASE}, {**BASE, **more}):
        list(cache({**environ}, heard_by([])))
    plain, found = cache.verdict({**BASE}), cache.verdict({**BASE, **more})
    assert isinstance(plain, Place)
    assert isinstance(found, OfKind)
    assert found.place.key != plain.key
    assert not isinstance(cache.verdict({**BASE, "HTTP_COOKIE": "beta=2"}), OfKind)
    assert not isinstance(cache.verdict({**BASE, "HTTP_X_FORWARDED_PROTO": "gopher"}), Place | OfKind)


def test_a_witness_hears_of_no_page_that_one_kind_of_visitor_gets() -> None:
    class Hearing:
        mark = 0
        heard = 0

        def answered(self, *about: Any) -> None:
            self.heard += 1

    cache = guest(Shop(page(b"hello")), key_cookies={"beta": ["1"]})
    cache.witness = witness = Hearing()
    for cookie in ("beta=1", "beta=1", "beta=1"):
        hit = ask(cache, Cookie=cookie)
    assert "; hit" in hit.headers["Cache-Status"]
    assert witness.heard == 0
    for _ in range(3):
        ask(cache)
    assert witness.heard == 2


def test_who_asks_for_more_than_the_environ_says_is_asked_each_time() -> None:
    answers_of: list[bool] = [False, True]
    cache = guest(Shop(page(b"hello")), is_personal=lambda request: answers_of.pop(0))
    assert ask(cache).headers["Cache-Status"] == "wsgistack; fwd=uri-miss; ttl=60; stored"
    assert ask(cache).headers["Cache-Status"] == "wsgistack; fwd=bypass; detail=callable"


@pytest.mark.parametrize(
    "more", [{"HTTP_COOKIE": "sessionid=1"}, {"HTTP_COOKIE": "_ga=1; sessionid=2"}, {"PATH_INFO": "/api/x"}]
)
def test_a_request_past_the_cache_costs_few_calls_and_its_body_is_the_applications(
    more: dict[str, str],
) -> None:
    body, called = Closing([b"hello"]), []

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", FRESH)
        return body

    def note(frame: FrameType, event: str, argument: object) -> None:
        if event == "call" and "/wsgistack/" in frame.f_code.co_filename:
            called.append(frame.f_code.co_name)

    cache, hear = guest(app, rules=[Rule("/api/*", bypass)]), heard_by([])
    list(cache({**BASE, **more}, hear))  # what it is about is learned
    environ, before = {**BASE, **more}, sys.getprofile()
    sys.setprofile(note)
    try:
        assert cache(environ, hear) is body
    finally:
        sys.setprofile(before)
    assert body.closed == 0
    assert len(called) <= 7, called
