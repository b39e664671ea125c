"""One form of a page for each coding that it is made in, whatever clients write."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from typing import Any

import pytest

from tests.cache.shop import FRESH, NOW, TEXT, Shop, ask, cached, guest, page, pages_in
from wsgistack.cache.codings import Codings
from wsgistack.errors import ConfigurationError
from wsgistack.store.memory import MemoryStore

PLAIN = b"hello " * 100
VARIES = [*FRESH, ("Vary", "Accept-Encoding")]
EDGES = pytest.mark.parametrize("made", [guest, cached], ids=["anonymous", "rfc9111"])


def coding_app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answer as naive applications do: by whether the word stands there."""
    takes = "gzip" in environ.get("HTTP_ACCEPT_ENCODING", "")
    start_response("200 OK", [*VARIES, *([("Content-Encoding", "gzip")] if takes else [])])
    return [gzip.compress(PLAIN, mtime=0) if takes else PLAIN]


@pytest.mark.parametrize(
    ("accepted", "word"),
    [(None, "identity"), ("zstd", "identity"), ("gzip, deflate, br, zstd", "br"), ("GZIP;q=0.2", "gzip")],
)
def test_a_request_is_seen_and_shown_with_one_word(accepted: str | None, word: str) -> None:
    environ = {"HTTP_ACCEPT": "*/*"} | ({} if accepted is None else {"HTTP_ACCEPT_ENCODING": accepted})
    codings, came = Codings(["br", "gzip"]), dict(environ)
    assert codings.see(environ).field("accept-encoding") == word
    assert codings.see(environ).field("accept") == "*/*"
    assert codings.show(environ) == {**came, "HTTP_ACCEPT_ENCODING": word}
    assert environ == came


def test_without_codings_a_request_is_as_it_came() -> None:
    environ = {"HTTP_ACCEPT_ENCODING": "GZIP"}
    assert Codings().see(environ).field("accept-encoding") == "GZIP"
    assert Codings().show(environ) is environ


@EDGES
def test_who_gets_the_same_bytes_gets_the_same_page(made: Any) -> None:
    shop = Shop(coding_app)
    store = MemoryStore(1_000_000)
    cache = made(shop, codings=["gzip"], store=store)
    for accepted in ("gzip", "gzip, deflate, br", "*", "x-gzip;q=0.1"):
        reply = ask(cache, Accept_Encoding=accepted)
        assert (reply.headers["Content-Encoding"], gzip.decompress(reply.body)) == ("gzip", PLAIN)
        assert reply.headers["Vary"] == "Accept-Encoding"
    for other in ("identity", "br", "", "gzip;q=0", "gzip;q=0, *", "identity, gzip;q=0.5"):
        reply = ask(cache, Accept_Encoding=other)
        assert ("Content-Encoding" in reply.headers, reply.body) == (False, PLAIN)
    assert ask(cache).body == PLAIN
    assert [seen["HTTP_ACCEPT_ENCODING"] for seen in shop.asked] == ["gzip", "identity"]
    assert pages_in(store) == 3  # what it varies by, and two forms


@EDGES
def test_without_the_setting_each_spelling_is_a_variant(made: Any) -> None:
    shop = Shop(coding_app)
    cache = made(shop)
    for accepted in ("gzip", "gzip, deflate, br", "gzip"):
        ask(cache, Accept_Encoding=accepted)
    assert [seen["HTTP_ACCEPT_ENCODING"] for seen in shop.asked] == ["gzip", "gzip, deflate, br"]


@EDGES
def test_a_naive_application_does_not_give_what_was_refused(made: Any) -> None:
    cache = made(coding_app, codings=["gzip"])
    assert ask(cache, Accept_Encoding="gzip;q=0").body == PLAIN
    assert ask(made(coding_app), Accept_Encoding="gzip;q=0").headers["Content-Encoding"] == "gzip"


@EDGES
def test_what_is_coded_is_not_for_everybody_where_vary_is_forgotten(made: Any) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        takes = environ["HTTP_ACCEPT_ENCODING"] == "gzip"  # nginx without gzip_vary
        start_response("200 OK", [*FRESH, *([("Content-Encoding", "gzip")] if takes else [])])
        return [b"packed" if takes else b"plain"]

    shop = Shop(app)
    cache = made(shop, codings=["gzip"])
    asked = ("gzip", "gzip, br", None, "gzip", "")
    bodies = [ask(cache, **({} if one is None else {"Accept-Encoding": one})).body for one in asked]
    assert bodies == [b"packed", b"packed", b"plain", b"plain", b"plain"]  # the plain form does for all
    assert len(shop.asked) == 2


def test_what_goes_past_the_cache_is_as_it_came() -> None:
    shop = Shop(page(b"hello", headers=VARIES))
    cache = guest(shop, codings=["gzip"])
    ask(cache, Accept_Encoding="gzip, br", Cookie="sessionid=1")
    ask(cache, method="POST", Accept_Encoding="gzip, br")
    assert [seen["HTTP_ACCEPT_ENCODING"] for seen in shop.asked] == ["gzip, br"] * 2


@EDGES
def test_each_form_is_validated_and_told_of_by_itself(made: Any) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        tag = f'"{environ["HTTP_ACCEPT_ENCODING"]}"'
        fields = [TEXT, ("Vary", "Accept-Encoding"), ("Cache-Control", "max-age=60"), ("ETag", tag)]
        if environ.get("HTTP_IF_NONE_MATCH") == tag:
            start_response("304 Not Modified", fields)
            return []
        start_response("200 OK", fields)
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else tag.encode()]

    clock = [NOW]
    shop = Shop(app)
    cache = made(shop, codings=["br", "gzip"], now=lambda: clock[0])
    for accepted, tag in (("gzip, br", '"br"'), ("gzip", '"gzip"'), ("", '"identity"')):
        assert ask(cache, Accept_Encoding=accepted).headers["ETag"] == tag
        assert ask(cache, Accept_Encoding=accepted, If_None_Match=tag).status_int == 304
        assert ask(cache, Accept_Encoding=accepted, If_None_Match='"other"').status_int == 200
        head = ask(cache, method="HEAD", Accept_Encoding=accepted)
        assert (head.headers["ETag"], head.body) == (tag, b"")
        part = ask(cache, Accept_Encoding=accepted, Range="bytes=1-2")
        assert (part.status_int, part.body) == (206, tag.encode()[1:3])
    assert len(shop.asked) == 3
    clock[0] += 61
    again = ask(cache, Accept_Encoding="br, zstd")
    assert (again.body, again.headers["Cache-Status"]) == (
        b'"br"',
        "wsgistack; fwd=stale; fwd-status=304; ttl=60; stored",
    )
    assert ask(cache, method="HEAD", Accept_Encoding="br").headers["Cache-Status"] == "wsgistack; hit; ttl=60"
    assert [seen["HTTP_ACCEPT_ENCODING"] for seen in shop.asked[3:]] == ["br"]


def test_a_page_is_fetched_anew_in_its_own_form() -> None:
    clock = [NOW]
    fields = [TEXT, ("Vary", "Accept-Encoding"), ("Cache-Control", "max-age=1, stale-while-revalidate=60")]
    shop = Shop(page(b"hello", headers=fields))
    cache = guest(shop, codings=["gzip"], now=lambda: clock[0])
    ask(cache, Accept_Encoding="gzip")
    clock[0] += 2
    ask(cache, Accept_Encoding="gzip, br")
    assert ask(cache, Accept_Encoding="deflate, gzip").headers["Cache-Status"] == "wsgistack; hit; ttl=1"
    assert [seen["HTTP_ACCEPT_ENCODING"] for seen in shop.asked] == ["gzip", "gzip"]


@EDGES
def test_a_trace_looks_for_the_same_page(made: Any) -> None:
    cache = made(coding_app, codings=["gzip"])
    ask(cache, Accept_Encoding="gzip, br")
    lines = cache.trace("http://localhost/", Accept_Encoding="deflate, gzip")
    assert lines[-1] == "decision: 200 from the store (RFC 9111 §4)"


def test_what_is_no_coding_is_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match=r"^codings: 'gzp' is not one of .*did you mean 'gzip'"):
        guest(coding_app, codings=["gzp"])
