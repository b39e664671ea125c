"""Anonymous visitors at the WSGI edge."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from tests.cache.shop import FRESH, NOW, TEXT, Shop, ask, cached, guest, page
from wsgistack.cache.middleware import PageCache
from wsgistack.cache.rules import Rule
from wsgistack.store.memory import MemoryStore


def test_only_a_request_without_anybodys_cookies_is_answered_from_the_store() -> None:
    shop = Shop(page(b"hello"))
    cache = guest(shop)
    assert ask(cache, Cookie="sessionid=1").headers["Cache-Status"] == (
        "wsgistack; fwd=bypass; detail=cookie:sessionid"
    )
    assert ask(cache, Authorization="Basic x").headers["Cache-Status"] == (
        "wsgistack; fwd=bypass; detail=field:authorization"
    )
    assert ask(cache).headers["Cache-Status"] == "wsgistack; fwd=uri-miss; ttl=60; stored"
    assert ask(cache, Cookie="sessionid=1").headers["Cache-Status"].startswith("wsgistack; fwd=bypass")
    assert ask(cache).headers["Cache-Status"] == "wsgistack; hit; ttl=60"
    assert len(shop.asked) == 4


def test_cookies_and_parameters_that_are_ignored_are_neither_keyed_nor_shown() -> None:
    shop = Shop(page(b"hello", headers=[*FRESH, ("Vary", "Cookie, X-Forwarded-Host")]))
    cache = guest(shop)
    ask(cache, "/?utm_source=x&a=1", Cookie="_ga=1", X_Forwarded_Host="evil")
    assert (
        ask(cache, "/?a=1&gclid=2", Cookie="_ga=2; _gid=3").headers["Cache-Status"]
        == "wsgistack; hit; ttl=60"
    )
    assert ask(cache, "/?a=1").headers["Cache-Status"] == "wsgistack; hit; ttl=60"
    (seen,) = shop.asked
    assert ("HTTP_COOKIE" in seen, "HTTP_X_FORWARDED_HOST" in seen, seen["QUERY_STRING"]) == (
        False,
        False,
        "a=1",
    )


def test_a_key_cookie_makes_a_page_of_its_own() -> None:
    shop = Shop(page(b"hello"))
    cache = guest(shop, key_cookies={"beta": ["1"]})
    for cookie in ("beta=1", "beta=1; _ga=2", "beta=2", "_ga=2"):
        ask(cache, Cookie=cookie)
    assert [environ.get("HTTP_COOKIE") for environ in shop.asked] == ["beta=1", None]


def test_a_page_that_sets_a_cookie_is_not_stored() -> None:
    shop = Shop(page(b"hello", headers=[*FRESH, ("Set-Cookie", "csrftoken=x")]))
    cache = guest(shop)
    assert ask(cache).headers["Cache-Status"] == "wsgistack; fwd=uri-miss; detail=set-cookie"
    assert ask(cache).headers["Set-Cookie"] == "csrftoken=x"


@pytest.mark.parametrize("status", ["400 Bad Request", "413 Content Too Large", "500 Oops", "503 Later"])
def test_an_error_that_a_client_can_provoke_lives_for_ten_seconds_at_most(status: str) -> None:
    shop = Shop(page(b"no", status=status))
    cache = guest(shop)
    assert ask(cache).headers["Cache-Status"] == "wsgistack; fwd=uri-miss; ttl=10; stored"
    assert ask(cached(shop)).headers["Cache-Status"] == "wsgistack; fwd=uri-miss; ttl=60; stored"
    refused = Shop(page(b"no", status=status, headers=[TEXT]))
    assert ask(guest(refused, rules=[Rule("*", ttl=60)])).headers["Cache-Status"].endswith("; detail=status")


def test_a_conditional_request_brings_the_whole_page() -> None:
    shop = Shop(page(b"hello", headers=[*FRESH, ("ETag", '"a"')]))
    cache = guest(shop)
    assert ask(cache, If_None_Match='"a"').status_int == 200
    assert "HTTP_IF_NONE_MATCH" not in shop.asked[0]
    assert ask(cache, If_None_Match='"a"').status_int == 304


def test_a_change_by_somebody_makes_the_guests_page_worthless() -> None:
    shop = Shop(page(b"hello"))
    cache = guest(shop)
    ask(cache)
    ask(cache, method="POST", Cookie="sessionid=1")
    assert ask(cache).headers["Cache-Status"] == "wsgistack; fwd=uri-miss; ttl=60; stored"


def test_hosts_are_named_in_any_case() -> None:
    cache = guest(Shop(page(b"page")), hosts=["LocalHost", "*.Example.COM"])
    assert ask(cache).headers["Cache-Status"].endswith("stored")
    assert ask(cache, Host="WWW.example.com").headers["Cache-Status"].endswith("stored")


def test_only_the_hosts_that_are_named_are_cached() -> None:
    cache = guest(page(b"hello"), hosts=["*.example.org"])
    assert ask(cache).headers["Cache-Status"] == "wsgistack; fwd=bypass; detail=host"
    assert ask(cache, Host="www.example.org").headers["Cache-Status"].startswith("wsgistack; fwd=uri-miss")


@pytest.mark.parametrize("first", ["anonymous", "rfc9111"])
def test_caches_of_both_profiles_in_one_store_have_pages_of_their_own(first: str) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", FRESH)
        return [str(environ.get("HTTP_X_FORWARDED_HOST")).encode()]

    store = MemoryStore(1 << 20)
    options: dict[str, Any] = {"store": store, "now": lambda: NOW, "keyed_fields": {}}
    caches = {name: PageCache(app, profile=name, **options) for name in ("anonymous", "rfc9111")}
    one = caches.pop(first)
    (other,) = caches.values()
    ask(one, X_Forwarded_Host="evil.example")
    assert ask(other).headers["Cache-Status"] == "wsgistack; fwd=uri-miss; ttl=60; stored"
    one.purge(url="http://localhost/")
    assert ask(other).headers["Cache-Status"] == "wsgistack; fwd=uri-miss; ttl=60; stored", (
        "a purge is about both"
    )
