"""The page cache by its settings: rules, stores, what cannot be meant."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from tests.cache.shop import Shop, ask, cached, page
from wsgistack.cache.middleware import PageCache
from wsgistack.cache.rules import Rule, bypass
from wsgistack.errors import ConfigurationError, SettingError, StoreDown, StoreError, TooLarge
from wsgistack.store.base import Claim
from wsgistack.store.guarded import Guarded
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


def test_what_changed_while_the_store_was_away_is_not_served_when_it_is_back() -> None:
    class Away(MemoryStore):
        is_away = False

        def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
            if self.is_away:
                raise StoreDown("no route")
            return super().get_many(keys)

        def delete_many(self, keys: Iterable[str]) -> int:
            if self.is_away:
                raise StoreDown("no route")
            return super().delete_many(keys)

    store, now = Away(1 << 20), 0.0
    cache = cached(Shop(page(b"hello")), store=Guarded(store, clock=lambda: now))
    ask(cache)
    store.is_away = True
    for path in ("/b", "/c", "/d"):  # then it is left alone for a second
        ask(cache, path, method="HEAD")
    ask(cache, method="POST")
    store.is_away, now = False, 2.0
    assert ask(cache).headers["Cache-Status"].startswith("wsgistack; fwd=uri-miss; ")


class Lonely:
    """A ring without a living node: it finds nothing, and takes nothing but for *error*."""

    shared = True

    def __init__(self, error: StoreError | None) -> None:
        self.error = error

    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        return {}

    def gets(self, key: str) -> None:
        return None

    def claim(self, key: str, value: bytes, ttl_s: float) -> Claim:
        if isinstance(self.error, StoreDown):
            raise self.error
        return Claim(True, 7)

    def cas(self, key: str, value: bytes, ttl_s: float, token: int, *, pinned: bool = False) -> bool:
        if self.error is not None:
            raise self.error
        return token == 7

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
    down = "detail=store-down"  # it does not tell what lies there
    assert said == [down, down, "stored", "stored", "stored", "stored"]


def test_no_page_is_called_stored_after_the_store_took_none() -> None:
    class Failing(Lonely):
        def claim(self, key: str, value: bytes, ttl_s: float) -> Claim:
            return Claim(True, 7)

        def delete(self, key: str) -> bool:
            return True

    store: Any = Failing(None)
    cache = cached(Shop(page(b"hello")), store=store, coalesce=False)
    said = []
    for store.error in (StoreDown("no node"), StoreDown("no node"), None, None):
        said.append(ask(cache).headers["Cache-Status"].removeprefix("wsgistack; fwd=uri-miss; ttl=60; "))
    down = "detail=store-down"  # as the last page was not taken; who comes next finds out
    assert said == ["stored", down, down, "stored"]


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


def test_everything_that_cannot_be_meant_is_told_at_once() -> None:
    options: dict[str, Any] = {
        "profile": "anonymus",
        "keep": -1,
        "stale_if_error": "1m",
        "store": 5,
        "codings": ["gzp", "br", "br"],
        "identity_cookies": "sessionid",
        "ignored_cookies": 5,
        "key_cookies": {"beta": "on", "a b": ["x"], "lang": ["en", "", "d;e"], "n": 5},
        "keyed_fields": ["x"],
        "is_personal": True,
        "rules": [{"path": "/a", "tll": 5, "grace": "soon"}, 5, {"action": "bypas", "tags": "news"}],
        "hosts": "example.org",
        "ignored_parameters": ["", "utm_*", 5],
        "purge_from": ["10.0.0.0/99", "::1", "localhost"],
        "verify": 1,
        "max_object": 0,
        "coalesce_wait": None,
        "secret": "a text that nobody reads here",
    }
    with pytest.raises(SettingError) as caught:
        PageCache(page(b"hello"), **options)
    assert list(caught.value.complaints) == [
        "profile: 'anonymus' is not one of anonymous, rfc9111 (did you mean 'anonymous'?)",
        "keep: -1 is not a number from 0 up",
        "stale_if_error: '1m' is not a number from 0 up",
        "store: 5 is neither a store nor the URL of one",
        "codings: 'gzp' is not one of br, deflate, gzip, zstd (did you mean 'gzip'?)",
        "codings: 'br' is listed twice",
        "identity_cookies: 'sessionid' is one text, expected a list of names",
        "ignored_cookies: 5 is not a list of names",
        "key_cookies: the values of 'beta' are one text, expected a list",
        "key_cookies: 'a b' is not a name",
        "key_cookies: 'lang' can not have the value ''",
        "key_cookies: 'lang' can not have the value 'd;e'",
        "key_cookies: the values of 'n' are 5, expected a list",
        "keyed_fields: ['x'] is not {name: the values that count}",
        "is_personal: True can not be called",
        "rules: '/a': 'tll' is not one of path, action, host, ttl, grace, tags (did you mean 'ttl'?)",
        "rules: '/a': grace: 'soon' is not a number of seconds from 0 to a year",
        "rules: 5 is neither a Rule nor a mapping of what one has",
        "rules: '*': action: 'bypas' is not one of bypass, cache (did you mean 'bypass'?)",
        "rules: '*': tags: 'news' is one text, expected a list",
        "hosts: 'example.org' is one text, expected a list of names",
        "ignored_parameters: '' is not a name or a pattern such as 'utm_*'",
        "ignored_parameters: 5 is not a name or a pattern such as 'utm_*'",
        "purge_from: '10.0.0.0/99' is not a network such as 10.0.0.0/8 or 2001:db8::/32",
        "purge_from: 'localhost' is not a network such as 10.0.0.0/8 or 2001:db8::/32",
        "verify: 1 is not a number of fills from 2 to 100 (0: none)",
        "max_object: 0 is not a number from 1 up",
        "coalesce_wait: None is not a number from 0 up",
        "secret: str, expected bytes",
    ]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"secret": b"x" * 65}, "secret: 65 bytes, at most 64 fit"),
        ({"key_cookies": {"SessionID": ["a"]}}, "key_cookies: 'SessionID' is one of identity_cookies"),
        ({"rules": {"path": "/"}}, "rules: {'path': '/'} is not a list of rules"),
        ({"rules": [{"path": 5}]}, "rules: 5: path: 5 is neither a text nor a list"),
        ({"rules": [{"host": 5}]}, "rules: '*': host: 5 is neither a text nor a list"),
        ({"rules": [{"tags": [5]}]}, "rules: '*': tags: [5] is not a list of words"),
        ({"max_bytes": 1}, "max_bytes: 1 is not a number from 65536 up"),
        (
            {"profile": "rfc9111", "ignored_parameters": "x"},
            "ignored_parameters: 'x' is one text, expected a list of names",
        ),
    ],
    ids=str,
)
def test_what_is_wrong_is_told_with_what_was_expected(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        PageCache(page(b"hello"), **options)
    assert str(caught.value) == told


def test_a_mapping_is_read_as_a_rule() -> None:
    cache = cached(Shop(page(b"a", headers=[])), rules=[{"path": "/news/*", "ttl": "2m"}])
    told = [ask(cache, path).headers["Cache-Status"] for path in ("/news/1", "/news/1", "/")]
    assert told == [
        "wsgistack; fwd=uri-miss; ttl=120; stored",
        "wsgistack; hit; ttl=120",
        "wsgistack; fwd=uri-miss; detail=no-lifetime",
    ]
