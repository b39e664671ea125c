"""What operators and applications say of pages at the WSGI edge: purges, tags, lifetimes, privacy, audits."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from tests.cache.shop import FRESH, NOW, TEXT, Shop, ask, guest, page, pages_in
from tests.contracts.stores import Clock
from wsgistack.cache.middleware import PageCache
from wsgistack.cache.rules import Rule
from wsgistack.errors import ArgumentError, StoreDown
from wsgistack.store.memory import MemoryStore

Speak = Callable[[Any], None]


def speaking(speak: Speak, fields: list[tuple[str, str]] = FRESH) -> Callable[..., Iterable[bytes]]:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        speak(environ["wsgistack.cache"])
        start_response("200 OK", fields)
        return [b"page"]

    return app


def told(cache: PageCache, path: str = "/", **headers: str) -> str:
    return str(ask(cache, path, **headers).headers["Cache-Status"])


STORED = "wsgistack; fwd=uri-miss; ttl=60; stored"
STREAMED = "wsgistack; fwd=uri-miss; ttl=60"
HIT = "wsgistack; hit; ttl=60"


@pytest.mark.parametrize(
    "about",
    [
        {"url": "http://localhost/a?b=1"},
        {"url": "HTTP://LOCALHOST:80/a?utm_source=x&b=1"},
        {"prefix": "http://localhost/"},
        {"prefix": "HTTP://LocalHost:80/a"},
        {"tag": "news"},
        {"host": "local*"},
        {"path": "/a"},
        {"header": "Cache-Control", "value": "max-age=*"},
        {"everything": True},
    ],
    ids=str,
)
def test_a_purged_page_is_made_anew(about: dict[str, Any]) -> None:
    cache = guest(speaking(lambda voice: voice.tag("news")))
    assert [told(cache, "/a?b=1") for _ in range(2)] == [STORED, HIT]
    cache.purge(**about)
    assert [told(cache, "/a?b=1") for _ in range(2)] == [STORED, HIT]


@pytest.mark.parametrize(
    "about",
    [{"url": "http://localhost/a"}, {"tag": "sports"}, {"path": "/b"}, {"older_s": 1.0}, {"host": "other"}],
    ids=str,
)
def test_a_purge_of_others_leaves_a_page_alone(about: dict[str, Any]) -> None:
    cache = guest(speaking(lambda voice: voice.tag("news")))
    told(cache, "/a?b=1")
    cache.purge(**about)
    assert told(cache, "/a?b=1") == HIT


@pytest.mark.parametrize("purged", ["/a?x=1", "/a?x=2", "/a?x=3"], ids=["filled by", "asked for", "another"])
def test_a_page_of_queries_that_mean_the_same_can_be_purged_by_any_that_is_asked_for(purged: str) -> None:
    cache = guest(Shop(page(b"page", headers=[*FRESH, ("No-Vary-Search", 'params=("x")')])))
    assert [told(cache, path) for path in ("/a?x=1", "/a?x=2")] == [STORED, HIT]
    cache.purge(url=f"http://localhost{purged}")
    assert told(cache, "/a?x=2") == (HIT if purged == "/a?x=3" else STORED)


def test_a_soft_purge_of_another_query_makes_a_page_old_for_that() -> None:
    fields = [
        TEXT,
        ("Cache-Control", "max-age=60, stale-while-revalidate=9"),
        ("No-Vary-Search", 'params=("x")'),
    ]
    cache = guest(Shop(page(b"page", headers=fields)))
    assert [told(cache, path) for path in ("/a?x=1", "/a?x=2")] == [STORED, HIT]
    cache.purge(url="http://localhost/a?x=2", soft=True)
    assert [told(cache, path) for path in ("/a?x=1", "/a?x=2")] == [HIT, "wsgistack; hit; ttl=0"]


def test_a_purge_is_about_all_variants_and_all_kinds_of_visitors() -> None:
    shop = Shop(page(b"x", headers=[*FRESH, ("Vary", "Accept-Language")]))
    cache = guest(shop, key_cookies={"beta": ["on"]})
    kinds: list[dict[str, str]] = [{}, {"Accept_Language": "de"}, {"Cookie": "beta=on"}]
    for _ in range(2):
        for kind in kinds:
            ask(cache, "/", **kind)
    assert len(shop.asked) == 3
    cache.purge(url="http://localhost/")
    for kind in kinds:
        ask(cache, "/", **kind)
    assert len(shop.asked) == 6


def test_a_purge_holds_in_all_who_share_the_store() -> None:
    store = MemoryStore(1 << 20)
    one, other = (guest(speaking(lambda voice: None), store=store) for _ in range(2))
    told(one)
    assert told(other) == HIT
    one.purge(everything=True)
    assert told(other) == STORED


def test_a_softly_purged_page_is_used_while_it_is_fetched_anew() -> None:
    clock = Clock(NOW)
    fields = [("Cache-Control", "max-age=60, stale-while-revalidate=30")]
    shop = Shop(page(b"old", headers=fields), page(b"new", headers=fields))
    cache = PageCache(shop, now=clock)
    ask(cache)
    clock.now += 10.0
    cache.purge(url="http://localhost/", soft=True)
    clock.now += 5.0
    soft = ask(cache)
    assert (soft.body, soft.headers["Cache-Status"]) == (b"old", "wsgistack; hit; ttl=-5")
    assert ask(cache).body == b"new"


def test_a_purge_counts_for_a_page_on_its_way() -> None:
    cache: PageCache

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", FRESH)
        cache.purge(everything=True)
        yield b"page"

    store = MemoryStore(1 << 20)
    cache = guest(app, store=store)
    ask(cache)
    assert pages_in(store) == 0


def test_a_change_counts_for_a_page_on_its_way() -> None:
    cache: PageCache
    calls: list[str] = []

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        calls.append(environ["REQUEST_METHOD"])
        start_response("200 OK", FRESH)
        if calls == ["GET"]:
            ask(cache, method="POST")
        yield b"page"

    store = MemoryStore(1 << 20)
    cache = guest(app, store=store)
    ask(cache)
    assert (calls, pages_in(store)) == (["GET", "POST"], 0)


def test_a_change_by_anybody_is_about_all_kinds_of_visitors() -> None:
    shop = Shop(page(b"x"))
    cache = guest(shop, key_cookies={"beta": ["on"]})
    ask(cache, Cookie="beta=on")
    ask(cache, method="POST", Cookie="sessionid=1")
    ask(cache, Cookie="beta=on")
    assert len(shop.asked) == 3


def test_a_group_is_invalidated_on_its_origin() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        kind = "Cache-Groups" if environ["REQUEST_METHOD"] == "GET" else "Cache-Group-Invalidation"
        start_response("200 OK", [*FRESH, (kind, '"shop"')])
        return [b"page"]

    cache = guest(app)
    told(cache, "/a")
    told(cache, "http://other.example/a")
    ask(cache, "/cart", method="POST")
    assert told(cache, "/a") == STORED
    assert told(cache, "http://other.example/a") == HIT


@pytest.mark.parametrize(
    ("about", "error"),
    [
        ({}, ArgumentError),
        ({"url": ""}, ArgumentError),
        ({"older_s": -1}, ArgumentError),
        ({"uri": "x"}, TypeError),
    ],
    ids=str,
)
def test_a_purge_that_cannot_be_meant_is_refused(about: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        guest(speaking(lambda voice: None)).purge(**about)


def test_whoever_purges_hears_that_the_store_did_not_take_it() -> None:
    class Down(MemoryStore):
        shared = True

        def update(self, *words: Any, **more: Any) -> bytes | None:
            raise StoreDown("no")

    with pytest.raises(StoreDown):
        guest(speaking(lambda voice: None), store=Down(1 << 20)).purge(tag="news")


def test_the_application_says_for_how_long() -> None:
    cache = guest(speaking(lambda voice: voice.ttl(5, grace=10), [("Content-Type", "text/plain")]))
    assert told(cache) == "wsgistack; fwd=uri-miss; ttl=5; stored"


def test_the_application_knows_better_than_a_rule() -> None:
    cache = guest(speaking(lambda voice: voice.ttl(5)), rules=[Rule("/*", ttl=600)])
    assert told(cache) == "wsgistack; fwd=uri-miss; ttl=5; stored"


def test_the_application_says_that_a_page_is_private() -> None:
    store = MemoryStore(1 << 20)
    cache = guest(speaking(lambda voice: voice.private("session")), store=store)
    assert told(cache) == "wsgistack; fwd=uri-miss; detail=private:session"
    assert pages_in(store) == 0


def test_a_reason_that_is_no_token_is_told_as_the_applications() -> None:
    cache = guest(speaking(lambda voice: voice.private("a b; hit")))
    assert told(cache) == "wsgistack; fwd=uri-miss; detail=private:application"


@pytest.mark.parametrize("headers", [{}, {"Cookie": "sessionid=1"}], ids=["anonymous", "personal"])
def test_the_application_may_always_speak(headers: dict[str, str]) -> None:
    heard: list[Any] = []
    for method in ("GET", "POST"):
        ask(guest(speaking(heard.append)), method=method, **headers)
    assert [type(voice).__name__ for voice in heard] == ["Voice", "Voice"]


PLAIN = [("Content-Type", "text/plain"), ("Content-Length", "4")]


def after_its_head(speak: Speak, fields: list[tuple[str, str]]) -> Callable[..., Iterable[bytes]]:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", fields)
        speak(environ["wsgistack.cache"])
        return [b"page"]

    return app


def before_its_first_block(speak: Speak, fields: list[tuple[str, str]]) -> Callable[..., Iterable[bytes]]:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", fields)
        speak(environ["wsgistack.cache"])
        yield b"page"

    return app


def after_its_first_block(speak: Speak, fields: list[tuple[str, str]]) -> Callable[..., Iterable[bytes]]:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", fields)
        yield b"pa"
        speak(environ["wsgistack.cache"])
        yield b"ge"

    return app


EARLY = [after_its_head, before_its_first_block]
SHAPES = [*EARLY, after_its_first_block]


@pytest.mark.parametrize(
    ("shape", "first"),
    [(after_its_head, STORED), (before_its_first_block, STREAMED), (after_its_first_block, STREAMED)],
)
def test_a_tag_counts_until_the_last_byte(shape: Any, first: str) -> None:
    cache = guest(shape(lambda voice: voice.tag("news"), FRESH))
    assert [told(cache) for _ in range(2)] == [first, HIT]
    cache.purge(tag="news")
    assert told(cache) == first


@pytest.mark.parametrize("shape", EARLY)
def test_a_lifetime_counts_that_is_said_after_start_response(shape: Any) -> None:
    cache = guest(shape(lambda voice: voice.ttl(5), PLAIN))
    assert told(cache) == "wsgistack; fwd=uri-miss; ttl=5; stored"
    assert told(cache) == "wsgistack; hit; ttl=5"


def test_another_lifetime_counts_until_the_last_byte() -> None:
    cache = guest(after_its_first_block(lambda voice: voice.ttl(5), FRESH))
    assert [told(cache) for _ in range(2)] == [STREAMED, "wsgistack; hit; ttl=5"]


def test_a_lifetime_that_comes_too_late_is_told_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    cache = guest(after_its_first_block(lambda voice: voice.ttl(5), PLAIN))
    with caplog.at_level(logging.WARNING):
        assert [told(cache) for _ in range(2)] == ["wsgistack; fwd=uri-miss; detail=no-lifetime"] * 2
    assert [record.message.split()[0] for record in caplog.records] == ["ttl_too_late"] * 2
    assert caplog.records[0].url == "http://localhost/"  # type: ignore[attr-defined]  # our field


@pytest.mark.parametrize("shape", SHAPES)
def test_private_counts_until_the_last_byte(shape: Any) -> None:
    store = MemoryStore(1 << 20)
    told(guest(shape(lambda voice: voice.private("session"), FRESH), store=store))
    assert pages_in(store) == 0


def test_what_is_said_of_a_request_past_the_cache_is_no_news(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        told(guest(after_its_first_block(lambda voice: voice.ttl(5), FRESH)), Cookie="sessionid=1")
    assert caplog.records == []
