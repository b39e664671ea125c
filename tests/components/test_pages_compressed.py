"""A page cache in a stack keeps what the components inside of it made: compressed once, with its ETag."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from typing import Any

import brotli
import pytest
from webob import Request

from tests.cache.shop import pages_in
from wsgistack import wrap
from wsgistack.store.memory import MemoryStore

BODY = b"<p>hello</p>" * 500
HTML = ("Content-Type", "text/html")
FRESH = ("Cache-Control", "max-age=60")
READERS = {"gzip": gzip.decompress, "br": brotli.decompress, "": bytes}
# What is said today, and what nobody should say: who, the field, the form that is right for it.
CLIENTS = [
    ("Chrome", "gzip, deflate, br, zstd", "br"),
    ("Firefox", "gzip, deflate, br, zstd", "br"),
    ("Safari", "gzip, deflate, br", "br"),
    ("curl --compressed", "deflate, gzip, br, zstd", "br"),
    ("curl --compressed of Debian 12", "deflate, gzip, br", "br"),
    ("requests", "gzip, deflate", "gzip"),
    ("requests with brotli", "gzip, deflate, br", "br"),
    ("Googlebot", "gzip, deflate, br", "br"),
    ("bingbot", "gzip, deflate", "gzip"),
    ("Go", "gzip", "gzip"),
    ("Java of old", "gzip,deflate", "gzip"),
    ("urllib", "identity", ""),
    ("curl", None, ""),
    ("nothing", "", ""),
    ("zstd alone", "zstd", ""),
    ("shouting", "GZIP , Br", "br"),
    ("weights", "gzip;q=0.999, br;q=0.998", "gzip"),
    ("an old name", "x-gzip", "gzip"),
    ("anything", "*", "br"),
    ("anything but", "*, br;q=0", "gzip"),
    ("refusal", "gzip;q=0, br;q=0.0", ""),
    ("refusal of all", "*;q=0", ""),
    ("both ways", "br, br;q=0, gzip;q=0, gzip", ""),
    ("no plain form", "identity;q=0, gzip", "gzip"),
    ("no form at all", "identity;q=0", ""),
    ("rather plain", "gzip;q=0.1, identity", ""),
    ("a name in a name", "notgzip, brr", ""),
    ("no weight", "gzip;q=one", ""),
    ("made up", "a1b2c3, gzip;q=0.5, d4", "gzip"),
    ("made up again", "e5f6, br;q=0.5, d4;q=1", "br"),
    ("many", ", ".join(f"x{n}" for n in range(500)), ""),
    ("quoted", "\"gzip\", 'br'", ""),
]


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
    assert calls == ["gzip", "identity"]
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


def get_with(stack: Any, accepted: str | None, **fields: str) -> Any:
    asked = {name.replace("_", "-"): value for name, value in fields.items()}
    if accepted is not None:
        asked["Accept-Encoding"] = accepted
    return Request.blank("/", headers=asked).get_response(stack)


def test_each_form_is_made_and_kept_once_whoever_asks() -> None:
    made: list[str] = []
    store = MemoryStore(1_000_000)

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        made.append(environ["HTTP_ACCEPT_ENCODING"])
        start_response("200 OK", [HTML, FRESH, ("ETag", '"a"')])
        return [BODY]

    stack = wrap(app, page_cache={"store": store}, compression=True, conditional=True)
    bodies: dict[str, set[bytes]] = {}
    for who, accepted, form in CLIENTS * 2:
        reply = get_with(stack, accepted)
        assert reply.headers.get("Content-Encoding", "") == form, who
        assert reply.headers["ETag"] == ('W/"a"' if form else '"a"'), who
        assert READERS[form](reply.body) == BODY, who
        bodies.setdefault(form, set()).add(reply.body)
    assert made == ["br", "gzip", "identity"]
    assert [len(some) for some in bodies.values()] == [1, 1, 1]  # padding is random: one compression each
    assert pages_in(store) == 4  # what it varies by, and three forms


def test_a_form_is_found_by_its_tag_and_in_parts() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [HTML, FRESH])
        return [BODY]

    stack = wrap(app, page_cache=True, compression=True, conditional=True)
    packed, plain = get_with(stack, "gzip, br"), get_with(stack, None)
    assert packed.headers["ETag"] == "W/" + plain.headers["ETag"]
    assert get_with(stack, "br", If_None_Match=packed.headers["ETag"]).status_int == 304
    part = get_with(stack, "br", Range="bytes=2-5")
    assert (part.status_int, part.body, part.headers["Content-Encoding"]) == (206, packed.body[2:6], "br")
    head = Request.blank("/", method="HEAD", headers={"Accept-Encoding": "deflate, br"}).get_response(stack)
    assert (head.headers["Content-Encoding"], head.headers["Content-Length"], head.body) == (
        "br",
        str(len(packed.body)),
        b"",
    )


def test_who_has_a_session_is_asked_for_what_he_said() -> None:
    seen: list[str] = []

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        seen.append(environ["HTTP_ACCEPT_ENCODING"])
        start_response("200 OK", [HTML])
        return [BODY]

    stack = wrap(app, page_cache=True, compression=True)
    reply = get_with(stack, "gzip, deflate", Cookie="sessionid=1")
    assert (seen, reply.headers["Content-Encoding"]) == (["gzip, deflate"], "gzip")


@pytest.mark.parametrize(
    ("parts", "codings"),
    [
        ({"page_cache": True, "compression": True}, ("br", "gzip")),
        ({"page_cache": True, "compression": {"codings": "gzip"}}, ("gzip",)),
        ({"page_cache": {"codings": ["gzip"]}, "compression": True}, ("gzip",)),
        ({"page_cache": {"codings": "none"}, "compression": True}, ()),
        ({"page_cache": True}, ()),
        ({"page_cache": {"profile": "rfc9111"}, "compression": True}, ()),
        ({"page_cache": {"profile": "rfc9111", "codings": "br"}, "compression": True}, ("br",)),
    ],
    ids=str,
)
def test_a_cache_knows_the_codings_of_what_is_inside(parts: dict[str, Any], codings: tuple[str, ...]) -> None:
    assert wrap(lambda environ, start_response: [], **parts).layer("page_cache").codings.names == codings


def test_a_cache_inside_of_compression_has_pages_without_codings() -> None:
    stack = wrap(lambda environ, start_response: [], ["compression", "page_cache"])
    assert stack.layer("page_cache").codings.names == ()
