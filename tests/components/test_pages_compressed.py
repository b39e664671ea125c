"""A page cache in a stack keeps what the components inside of it made: compressed once, with its ETag."""

from collections.abc import Iterable
from typing import Any

from webob import Request

from wsgistack import wrap

BODY = b"<p>hello</p>" * 500


def test_a_page_is_compressed_once_and_gets_a_tag_of_its_body() -> None:
    calls: list[Any] = []

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        calls.append(environ.get("HTTP_ACCEPT_ENCODING"))
        fields = [
            ("Content-Type", "text/html"),
            ("Cache-Control", "max-age=60"),
            ("Content-Length", str(len(BODY))),
        ]
        start_response("200 OK", fields)
        return [BODY]

    stack = wrap(app, page_cache=True, compression=True, conditional=True)

    def get(**headers: str) -> Any:
        asked = {name.replace("_", "-"): value for name, value in headers.items()}
        return Request.blank("/", headers=asked).get_response(stack)

    first, second = get(Accept_Encoding="gzip"), get(Accept_Encoding="gzip")
    assert (first.body, first.headers["Content-Encoding"]) == (
        second.body,
        "gzip",
    )  # padding is random: one making
    assert "; hit" in second.headers["Cache-Status"]
    plain = [get(), get()]
    assert [reply.body for reply in plain] == [BODY, BODY]
    assert calls == ["gzip", None]
    assert get(If_None_Match=plain[1].headers["ETag"]).status_int == 304
    assert len(calls) == 2


def test_who_has_a_page_that_is_not_kept_is_told_so() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/html"), ("Cache-Control", "private")])
        return [BODY]

    stack = wrap(app, page_cache=True, conditional=True)
    first = Request.blank("/").get_response(stack)
    again = Request.blank("/", headers={"If-None-Match": first.headers["ETag"]}).get_response(stack)
    assert (again.status_int, again.body) == (304, b"")
    assert again.headers["Cache-Status"] == "wsgistack; fwd=uri-miss; detail=private"
