"""Requests for pages that were not kept a moment ago go past the cache, and nothing of them is stored."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from tests.cache.shop import FRESH, NOW, TEXT, Shop, ask, page, pages_in
from wsgistack import wrap
from wsgistack.cache.middleware import PageCache
from wsgistack.cache.voice import ENVIRON_KEY, Voice
from wsgistack.steps import Fused
from wsgistack.store.memory import MemoryStore

SILENT = page(b"made for you", headers=[TEXT])
NOTHING_SAID = "wsgistack; fwd=uri-miss; detail=no-lifetime"
GA = "_ga=1"


class Step:
    """Something beside the cache, so that both are steps of one frame."""

    at_end = None

    def enter(self, environ: dict[str, Any], passage: Any, /) -> None:
        passage.add([("X-Step", "here")])


def stacked(shop: Shop, store: MemoryStore | None = None, **options: Any) -> Any:
    cache = PageCache(shop, now=lambda: NOW, store=store, **options)
    return Fused([Step(), cache], shop)


def told(answer: Any) -> str:
    return str(answer.headers["Cache-Status"])


def test_what_is_never_kept_is_soon_shown_as_it_came_and_told_as_before() -> None:
    shop = Shop(SILENT)
    app = stacked(shop)
    met = [ask(app, Cookie=GA) for _ in range(4)]
    assert [told(answer) for answer in met] == [NOTHING_SAID] * 4
    assert [answer.headers["X-Step"] for answer in met] == ["here"] * 4
    assert "HTTP_COOKIE" not in shop.asked[0]
    assert shop.asked[-1]["HTTP_COOKIE"] == GA
    assert isinstance(shop.asked[-1][ENVIRON_KEY], Voice)


def test_a_page_that_may_be_kept_all_at_once_is_kept_the_next_time() -> None:
    store, fresh = MemoryStore(1_000_000), page(b"news", headers=FRESH)
    shop = Shop(SILENT, SILENT, SILENT, fresh)
    app = stacked(shop, store)
    met = [ask(app, Cookie=GA) for _ in range(6)]
    assert told(met[2]) == NOTHING_SAID
    assert told(met[3]) == "wsgistack; fwd=uri-miss; detail=not-kept-lately"
    assert told(met[4]) == "wsgistack; fwd=uri-miss; ttl=60; stored"
    assert told(met[5]) == "wsgistack; hit; ttl=60"
    assert pages_in(store) == 1
    assert "HTTP_COOKIE" in shop.asked[3]  # seen as it came, and so not what is stored
    assert "HTTP_COOKIE" not in shop.asked[4]


@pytest.mark.parametrize(
    ("options", "is_left"),
    [
        ({}, True),
        ({"rules": [{"path": "/other/*", "ttl": 5}]}, False),
        ({"verify": 2}, False),
        ({"audit": True}, False),
        ({"coalesce": False}, False),
    ],
    ids=str,
)
def test_where_more_hangs_on_each_request_each_is_looked_at(options: dict[str, Any], is_left: bool) -> None:
    shop = Shop(SILENT)
    app = stacked(shop, **options)
    for _ in range(4):
        ask(app, Cookie=GA)
    assert ("HTTP_COOKIE" in shop.asked[-1]) is is_left


def test_the_whole_stack_lets_visitors_with_a_bucket_pass_too() -> None:
    shop = Shop(SILENT)
    app = wrap(
        shop,
        page_cache=True,
        request_id=True,
        buckets={"split": "beta 50%", "secret": "of these tests alone"},
    )
    first = ask(app)
    cookie = first.headers["Set-Cookie"].partition(";")[0]
    met = [ask(app, Cookie=f"{GA}; {cookie}", X_Forwarded_Proto="https") for _ in range(5)]
    assert {told(answer) for answer in met} == {NOTHING_SAID}
    assert GA in shop.asked[-1]["HTTP_COOKIE"]


def test_what_is_said_too_late_is_told_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    def late(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [TEXT])
        yield b"first"
        environ[ENVIRON_KEY].ttl(60)

    app = stacked(Shop(SILENT, SILENT, SILENT, late))
    for _ in range(4):
        ask(app)
    assert "ttl_too_late" in caplog.text
