"""Applications of every shape of PEP 3333 behind the page cache."""

from __future__ import annotations

import io
import sys
import tracemalloc
from collections.abc import Iterable, Iterator
from typing import Any
from wsgiref.util import FileWrapper
from wsgiref.validate import validator

import gevent
import pytest
from hypothesis import given
from hypothesis import strategies as st
from webob import Request

from tests.cache.shop import FRESH, TEXT, Closing, Shop, ask, cached, heard_by, page, pages_in
from wsgistack.store.memory import MemoryStore


def generator(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", FRESH)  # late: when the first block is asked for
    yield b"hel"
    yield b""
    yield b"lo"


def writer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    write = start_response("200 OK", FRESH)
    write(b"hel")
    write(b"l")
    return [b"o"]


def second_thoughts(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    try:
        raise ValueError("second thoughts")
    except ValueError:
        start_response("200 OK", FRESH, sys.exc_info())
    return iter([b"hello"])


SHAPES = {
    "list": page(b"hello"),
    "blocks": page(b"hel", b"", b"lo"),
    "generator, late start_response": generator,
    "write()": writer,
    "start_response again with exc_info": second_thoughts,
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_an_application_of_any_shape_is_cached(shape: Any) -> None:
    shop = Shop(shape)
    app = validator(cached(validator(shop)))
    assert [ask(app).body for _ in range(3)] == [b"hello"] * 3
    assert len(shop.asked) == 1
    assert ask(app).headers["Cache-Status"].startswith("wsgistack; hit; ttl=")


@given(
    blocks=st.lists(st.binary(max_size=8), max_size=5),
    written=st.lists(st.binary(max_size=8), max_size=2),
    late=st.booleans(),
    lengths=st.booleans(),
    as_list=st.booleans(),
    status=st.sampled_from(["200 OK", "404 Not Found", "301 Moved"]),
    method=st.sampled_from(["GET", "HEAD", "POST", "BREW"]),
    profile=st.sampled_from(["anonymous", "rfc9111"]),
)
def test_cached_equals_uncached(
    blocks: list[bytes],
    written: list[bytes],
    late: bool,
    lengths: bool,
    as_list: bool,
    status: str,
    method: str,
    profile: str,
) -> None:
    whole = b"".join([*written, *blocks])
    headers = [
        *FRESH,
        *([("Content-Length", str(len(whole)))] if lengths else []),
        ("X-A", "1"),
        ("X-A", "2"),
    ]

    def body(start_response: Any) -> Iterator[bytes]:
        write = start_response(status, headers)
        for block in written if method != "HEAD" else ():
            write(block)
        yield from ([] if method == "HEAD" else blocks)

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if late:
            return body(start_response)
        write = start_response(status, headers)
        for block in written if method != "HEAD" else ():
            write(block)
        rest = [] if method == "HEAD" else blocks
        return rest if as_list else iter(rest)

    plain = Request.blank("/", method=method).get_response(app)
    cache = cached(app, profile=profile)
    for _ in range(3):
        answer = Request.blank("/", method=method).get_response(cache)
        added = ("Cache-Status", "Age", "Date", *(() if lengths else ("Content-Length",)))
        met = [pair for pair in answer.headerlist if pair[0] not in added]
        assert (answer.status, answer.body) == (plain.status, plain.body)
        assert met == [pair for pair in plain.headerlist if pair[0] not in added]


def test_a_body_is_closed_exactly_once() -> None:
    bodies: list[Closing] = []

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [TEXT] if environ["PATH_INFO"] == "/dropped" else FRESH)
        bodies.append(Closing([b"hello"]))
        return bodies[-1]

    cache = cached(app)
    for path in ("/kept", "/kept", "/dropped"):
        ask(cache, path)
    assert [body.closed for body in bodies] == [1, 1]
    request = Request.blank("/other")
    body = cache(request.environ, lambda *_: lambda block: None)
    body.close()  # type: ignore[attr-defined]  # a client that left
    body.close()  # type: ignore[attr-defined]
    assert bodies[-1].closed == 1


def test_a_body_is_closed_also_when_a_greenlet_ends_before_its_first_block() -> None:
    """Gevent's Timeout and GreenletExit are no Exceptions."""
    bodies: list[Closing] = []

    def blocks(start_response: Any) -> Iterable[bytes]:
        raise KeyboardInterrupt
        yield b""

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        bodies.append(Closing(blocks(start_response)))
        return bodies[-1]

    with pytest.raises(KeyboardInterrupt):
        ask(cached(app))
    assert bodies[0].closed == 1


def test_a_second_head_reaches_nobody_who_has_the_first_one() -> None:
    """A follower takes its head when the leader's is judged, and its first block later."""

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        gevent.sleep(0.01)  # until the other one waits
        start_response("200 OK", [*FRESH, ("Content-Length", "4")])

        def blocks() -> Iterable[bytes]:
            gevent.sleep(0.01)  # until the other one has the head
            try:
                raise LookupError
            except LookupError:
                start_response("404 Not Found", [*FRESH, ("Content-Length", "4")], sys.exc_info())
            yield b"gone"

        return blocks()

    cache = cached(app)
    clients = [gevent.spawn(ask, cache) for _ in range(2)]
    gevent.joinall(clients, timeout=60, raise_error=True)
    assert [client.value.status_int for client in clients] == [404, 404]


def test_what_a_client_did_not_wait_for_is_not_stored() -> None:
    shop = Shop(page(b"a", b"b"))
    cache = cached(shop)
    body = cache(Request.blank("/").environ, lambda *_: lambda block: None)
    next(iter(body))
    body.close()  # type: ignore[attr-defined]
    ask(cache)
    assert len(shop.asked) == 2


def test_the_first_block_is_passed_on_before_the_second_is_made() -> None:
    made: list[int] = []

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", FRESH)
        for number in range(3):
            made.append(number)
            yield b"block"

    heads: list[Any] = []
    body = iter(cached(app)(Request.blank("/").environ, heard_by(heads)))
    assert (next(body), made, [head[0] for head in heads]) == (b"block", [0], ["200 OK"])


def test_a_body_that_is_too_large_passes_and_nothing_of_it_is_held() -> None:
    shop = Shop(page(b"x" * 600, b"y" * 600))
    cache = cached(shop, max_object=1000)
    assert [len(ask(cache).body) for _ in range(2)] == [1200, 1200]
    assert len(shop.asked) == 2
    announced = Shop(page(b"x" * 1200, headers=[*FRESH, ("Content-Length", "1200")]))
    response = ask(cached(announced, max_object=1000))
    assert response.headers["Cache-Status"] == "wsgistack; fwd=uri-miss; ttl=60; detail=too-large"


LENGTH = ("Content-Length", "1200")


def streamed(*headers: tuple[str, str]) -> Any:
    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [*FRESH, *headers])
        yield b"x" * 600
        yield b"y" * 600

    return app


def written(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", FRESH)(b"x" * 600)
    return [b"y" * 600]


@pytest.mark.parametrize(
    ("app", "largest", "told"),
    [
        (page(b"x" * 600, b"y" * 600), 1200, "; stored"),
        (page(b"x" * 600, b"y" * 600), 1199, "; detail=too-large"),
        (streamed(LENGTH), 1200, "; stored"),
        (streamed(LENGTH), 1199, "; detail=too-large"),
        (streamed(), 1200, ""),
        (streamed(), 1199, ""),
        (written, 1200, ""),
        (written, 1199, ""),
    ],
    ids=["whole", "whole, too large", "announced", "announced, too large", "streamed", "streamed, too large", "written", "written, too large"],
)  # fmt: skip
def test_a_page_is_called_stored_only_where_that_is_known(app: Any, largest: int, told: str) -> None:
    cache = cached(app, max_object=largest)
    said = [ask(cache).headers["Cache-Status"] for _ in range(2)]
    again = "wsgistack; hit; ttl=60" if largest == 1200 else f"wsgistack; fwd=uri-miss; ttl=60{told}"
    assert said == [f"wsgistack; fwd=uri-miss; ttl=60{told}", again]


def test_a_large_body_takes_no_more_memory_than_a_page_may() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", FRESH)
        for _ in range(1000):
            yield bytes(64 * 1024)

    body = cached(app, max_object=1 << 20)(Request.blank("/").environ, heard_by([]))
    tracemalloc.start()
    try:
        sent = sum(len(block) for block in body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sent == 65_536_000
    assert peak < 2 << 20


@pytest.mark.parametrize(
    ("length", "blocks", "is_stored"),
    [("5", [b"hello"], True), ("6", [b"hello"], False), ("4", [b"hello"], True), ("x", [b"hello"], True)],
    ids=["whole", "cut short", "too long", "no number"],
)
def test_a_body_counts_as_whole_by_its_length(length: str, blocks: list[bytes], is_stored: bool) -> None:
    shop = Shop(page(*blocks, headers=[*FRESH, ("Content-Length", length)]))
    store = MemoryStore(1 << 20)
    body = cached(shop, store=store)(Request.blank("/").environ, lambda *_: lambda block: None)
    assert b"".join(body) == b"hello"  # what the application gave is the server's to judge
    assert pages_in(store) == is_stored


def test_a_file_is_left_to_the_server() -> None:
    wrapped = FileWrapper(io.BytesIO(b"hello"))

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", FRESH)
        return wrapped

    heads: list[Any] = []
    environ = {**Request.blank("/").environ, "wsgi.file_wrapper": FileWrapper}
    assert cached(app)(environ, heard_by(heads)) is wrapped
    assert ("Cache-Status", "wsgistack; fwd=uri-miss; ttl=60; detail=file") in heads[0][1]


def test_early_hints_reach_the_server() -> None:
    hints: list[Any] = []

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ["wsgi.early_hints"]([("Link", "</a.css>; rel=preload")])
        return page(b"hello")(environ, start_response)

    cached(app)(
        {**Request.blank("/").environ, "wsgi.early_hints": hints.append}, lambda *_: lambda block: None
    )
    assert hints == [[("Link", "</a.css>; rel=preload")]]


def test_a_body_that_is_longer_than_it_says_is_kept_as_long_as_it_says() -> None:
    """What follows would be read as the next response."""
    cache = cached(Shop(page(b"hello GET", headers=[*FRESH, ("Content-Length", "5")])))
    ask(cache)
    assert b"".join(cache(Request.blank("/").environ, heard_by([]))) == b"hello"


def test_a_second_head_without_exc_info_is_the_servers_to_refuse() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", FRESH)
        start_response("404 Not Found", FRESH)
        return [b"page"]

    heads: list[Any] = []
    store = MemoryStore(1 << 20)
    list(cached(app, store=store)(Request.blank("/").environ, heard_by(heads)))
    assert [head[0] for head in heads] == ["200 OK", "404 Not Found"]
    assert pages_in(store) == 0


def test_the_rest_of_a_page_may_be_written_in_the_old_way() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        first, last = (0, 4) if environ["HTTP_RANGE"] == "bytes=0-4" else (5, 9)
        fields = [*FRESH, ("ETag", '"a"'), ("Content-Range", f"bytes {first}-{last}/10")]
        start_response("206 Partial Content", fields)(b"0123456789"[first : last + 1])
        return []

    cache = cached(app)
    bodies = [ask(cache, Range="bytes=0-4").body, ask(cache).body, ask(cache).body]
    assert bodies == [b"01234", b"0123456789", b"0123456789"]
