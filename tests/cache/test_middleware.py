"""The page cache by its settings: rules, stores, what cannot be meant."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from tests.cache.shop import Shop, ask, cached, page
from wsgistack.cache.middleware import PageCache
from wsgistack.cache.rules import Rule, bypass
from wsgistack.errors import ConfigurationError, StoreDown, StoreError, TooLarge
from wsgistack.store.memory import MemoryStore


def test_rules_tell_which_pages_and_how_long() -> None:
    shop = Shop(page(b"hello", headers=[("Content-Type", "text/plain")]))
    cache = cached(shop, rules=[Rule("/api/*", bypass), Rule("/news/*", ttl=60, grace=300)])
    assert [
        ask(cache, path).headers["Cache-Status"].partition("ttl")[0] for path in ("/news/1", "/news/1", "/x")
    ] == [
        "wsgistack; fwd=uri-miss; ",
        "wsgistack; hit; ",
        "wsgistack; fwd=uri-miss; detail=no-lifetime",
    ]
    assert ask(cache, "/x/../api/").headers["Cache-Status"] == "wsgistack; fwd=bypass; detail=rule"


def test_a_rule_may_be_about_some_hosts_only() -> None:
    cache = cached(Shop(page(b"hello")), rules=[Rule("/*", bypass, host="api.*")])
    said = [ask(cache, Host=host).headers["Cache-Status"] for host in ("API.example:80", "www.example")]
    assert said == ["wsgistack; fwd=bypass; detail=rule", "wsgistack; fwd=uri-miss; ttl=60; stored"]


def test_a_store_that_is_down_costs_a_miss() -> None:
    class Down(MemoryStore):
        def get(self, key: str) -> bytes | None:
            raise StoreDown("no route")

        def set(self, key: str, value: bytes, ttl_s: float, *, pinned: bool = False) -> None:
            raise StoreDown("no route")

        def delete(self, key: str) -> bool:
            raise StoreDown("no route")

    shop = Shop(page(b"hello"))
    cache = cached(shop, store=Down(1 << 20))
    assert [ask(cache).body, ask(cache, method="POST").body, ask(cache).body] == [b"hello"] * 3


class Lonely:
    """A ring without a living node: it finds nothing, and takes nothing but for *error*."""

    shared = True

    def __init__(self, error: StoreError | None) -> None:
        self.error = error

    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        return {}

    def __getattr__(self, name: str) -> Any:
        if name == "within":
            raise AttributeError(name)  # it cannot give up waiting

        def call(*args: Any, **options: Any) -> None:
            if self.error is not None:
                raise self.error

        return call


def test_no_page_is_called_stored_while_the_store_takes_none() -> None:
    store: Any = Lonely(None)
    cache = cached(Shop(page(b"hello")), store=store, coalesce=False)
    said = []
    for error in (StoreDown("no node"), StoreDown("no node"), None, None, TooLarge("1 MiB"), None):
        store.error = error
        said.append(ask(cache).headers["Cache-Status"].removeprefix("wsgistack; fwd=uri-miss; ttl=60; "))
    down = "detail=store-down"  # as the last page was not taken; who comes next finds out
    assert said == ["stored", down, down, "stored", "stored", "stored"]


@pytest.mark.parametrize(
    "poison", [b"", b"wsp2", b"\x80\x04N.", b"x" * 500], ids=["empty", "cut", "pickle", "x"]
)
def test_a_poisoned_store_is_as_an_empty_one(poison: bytes) -> None:
    shop = Shop(page(b"hello"))
    store = MemoryStore(1 << 20)
    cache = cached(shop, store=store)
    ask(cache)
    for key in list(store._entries):
        store.set(key, poison, 60)
    assert ask(cache).body == b"hello"
    assert len(shop.asked) == 2


def test_another_pages_entry_is_nothing() -> None:
    shop = Shop(page(b"a"), page(b"b"))
    store = MemoryStore(1 << 20)
    cache = cached(shop, store=store)
    ask(cache, "/a")
    ask(cache, "/b")
    one, other = [key for key in store._entries if key.startswith("p:")]
    store.set(one, store.get(other) or b"", 60)
    assert (ask(cache, "/a").body, len(shop.asked)) == (b"b", 3)


@pytest.mark.parametrize(
    "options",
    [{"profile": "anonymus"}, {"rules": ["/api"]}, {"store": "nowhere"}, {"max_object": 0}, {"keep": -1}],
    ids=str,
)
def test_what_cannot_be_meant_is_refused_at_once(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        PageCache(page(b"hello"), **options)


def test_a_wrong_word_is_told_with_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match=r"did you mean 'anonymous'\?"):
        PageCache(page(b"hello"), profile="anonymus")
