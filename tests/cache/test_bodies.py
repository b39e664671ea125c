"""Bodies of applications that think better of their answer when its first block is asked for."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from webob import Request

from tests.cache.shop import FRESH, NOW, TEXT, Closing, Shop, ask, heard_by, page
from wsgistack import PageCache

LATER = NOW + 120.0
KEPT = [TEXT, ("Cache-Control", "max-age=60, stale-if-error=600")]


def fails_late(fields: list[tuple[str, str]], bodies: list[Closing], *blocks: bytes) -> Any:
    """Return an application that says 200, and 500 when its body is asked for."""

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", fields)

        def body() -> Iterator[bytes]:
            try:
                raise LookupError
            except LookupError:
                start_response("500 Oops", [TEXT], sys.exc_info())
            yield from blocks

        bodies.append(Closing(body()))
        return bodies[-1]

    return app


@pytest.mark.parametrize("fields", [KEPT, [TEXT]], ids=["to be kept", "not to be kept"])
@pytest.mark.parametrize("blocks", [[], [b"oops"], [b"oo", b"ps"]], ids=["no block", "one", "two"])
def test_a_stale_page_stands_in_for_an_error_that_comes_as_a_second_head(
    fields: list[tuple[str, str]], blocks: list[bytes]
) -> None:
    at, bodies = [NOW], list[Closing]()
    shop = Shop(page(b"good", headers=KEPT), fails_late(fields, bodies, *blocks))
    cache = PageCache(shop, now=lambda: at[0])
    ask(cache)
    at[0] = LATER
    answer = ask(cache)
    assert (answer.status, answer.body) == ("200 OK", b"good")
    assert answer.headers["Cache-Status"] == "wsgistack; fwd=stale; fwd-status=500; ttl=-60"
    assert bodies[0].closed == 1


@pytest.mark.parametrize("fields", [FRESH, [TEXT]], ids=["to be kept", "not to be kept"])
def test_where_nothing_may_stand_in_the_second_head_is_sent(fields: list[tuple[str, str]]) -> None:
    at, bodies = [NOW], list[Closing]()
    shop = Shop(page(b"good", headers=FRESH), fails_late(fields, bodies, b"oops"))
    cache = PageCache(shop, now=lambda: at[0], stale_if_down=0.0)
    ask(cache)
    at[0] = LATER
    answer = ask(cache)
    assert (answer.status, answer.body) == ("500 Oops", b"oops")
    assert bodies[0].closed == 1


@pytest.mark.parametrize("empty", [1, 3])
def test_blocks_without_bytes_may_come_before_the_head(empty: int) -> None:
    """PEP 3333 wants the head before the first block that is not empty."""

    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        yield from [b""] * empty
        start_response("200 OK", FRESH)
        yield b"page"

    shop = Shop(app)
    cache = PageCache(shop, now=lambda: NOW)
    assert [ask(cache).body for _ in range(2)] == [b"page"] * 2
    assert len(shop.asked) == 1


@pytest.mark.parametrize("blocks", [[], [b""], [b"page"]], ids=["no block", "an empty one", "one"])
def test_nobody_waits_for_an_application_that_never_says_its_head(blocks: list[bytes]) -> None:
    cache = PageCache(lambda environ, start_response: [*blocks], now=lambda: NOW)
    heads: list[Any] = []
    for _ in range(2):
        assert b"".join(cache(Request.blank("/").environ, heard_by(heads))) == b"".join(blocks)
        assert cache._coalescer is not None
        assert len(cache._coalescer) == 0
    assert heads == []
