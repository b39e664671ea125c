"""A decision, line by line, with where its rule is written."""

from __future__ import annotations

import pytest
from webob import Request

from tests.cache.shop import NOW, Shop, ask, guest, page
from tests.contracts.stores import Clock
from wsgistack.cache.middleware import PageCache
from wsgistack.cache.rules import Rule, bypass
from wsgistack.errors import ArgumentError

FIELDS = [
    ("Cache-Control", "max-age=60, stale-while-revalidate=30"),
    ("ETag", '"a"'),
    ("Vary", "Accept-Language"),
]


def stored(clock: Clock, **options: object) -> PageCache:
    cache = PageCache(Shop(page(b"hello", headers=FIELDS)), now=clock, **options)  # type: ignore[arg-type]  # options of all kinds
    ask(cache, "/a")
    return cache


def test_a_hit_is_told_rule_by_rule() -> None:
    clock = Clock(NOW)
    cache = stored(clock)
    clock.now += 10.0
    lines = cache.trace("http://localhost/a", Cookie="_ga=1")
    assert lines[0].startswith("url: http://localhost/a, key p:")
    assert lines[1] == "visitor: anonymous, x-forwarded-proto=absent, x-requested-with=absent"
    assert lines[2].startswith("purges: generation ")
    assert lines[3:] == [
        "stored: 200, 5 bytes, tags none",
        "  varies by accept-language: absent (RFC 9111 §4.1)",
        "  age: 10 s (RFC 9111 §4.2.3)",
        "  lifetime: 60 s (RFC 9111 §4.2.1)",
        "  fresh: for 50 s (RFC 9111 §4.2)",
        "  stale: 30 s while it is fetched anew, 0 s for an error (RFC 5861), 3600 s when down",
        "decision: 200 from the store (RFC 9111 §4)",
    ]


@pytest.mark.parametrize(
    ("waited", "line"),
    [
        (70.0, "decision: 200 from the store, and fetch it anew afterwards (RFC 5861 §3) (RFC 9111 §4)"),
        (95.0, "decision: ask whether it holds, by if-none-match (RFC 9111 §4.3.1)"),
    ],
    ids=["stale", "too stale"],
)
def test_what_is_done_with_an_old_page_is_told(waited: float, line: str) -> None:
    clock = Clock(NOW)
    cache = stored(clock)
    clock.now += waited
    assert cache.trace("http://localhost/a")[-1] == line


def test_a_miss_and_another_variant_are_told() -> None:
    cache = stored(Clock(NOW))
    assert cache.trace("http://localhost/b")[-2:] == [
        "stored: nothing, or purged (RFC 9111 §4)",
        "decision: fetch, uri-miss (RFC 9211 §2.2)",
    ]
    assert cache.trace("http://localhost/a", Accept_Language="de")[-2:] == [
        "stored: other variants, none that fits the request (RFC 9111 §4.1)",
        "decision: fetch, vary-miss (RFC 9211 §2.2)",
    ]


def test_who_goes_past_the_cache_is_told_why() -> None:
    cache = guest(Shop(), rules=[Rule("/api/*", bypass)])
    assert cache.trace("http://localhost/", Cookie="sessionid=1") == [
        "visitor: personal, cookie:sessionid (see personal.Visitors)",
        "decision: past the cache",
    ]
    assert cache.trace("http://localhost/api/x")[0] == "rule: /api/* says bypass"
    assert cache.trace("http://localhost/a%2Fb")[0].startswith("url: refused, the path has an encoded slash")


def test_a_trace_changes_nothing() -> None:
    shop = Shop(page(b"hello", headers=FIELDS))
    cache = guest(shop)
    cache.trace("http://localhost/a")
    assert shop.asked == []


@pytest.mark.parametrize("path", ["/list", "", "/caf%C3%A9"])
def test_a_page_behind_a_mount_point_is_found(path: str) -> None:
    cache = PageCache(Shop(page(b"hello", headers=FIELDS)), now=lambda: NOW)
    assert Request.blank(path, base_url="http://localhost/shop").get_response(cache).body == b"hello"
    url = f"http://localhost/shop{path}"
    assert cache.trace(url, "/shop")[-1] == "decision: 200 from the store (RFC 9111 §4)"
    assert cache.trace(url)[-1] == "decision: fetch, uri-miss (RFC 9211 §2.2)"


@pytest.mark.parametrize("url", ["http://localhost/shopping", "http://localhost/", "http://localhost"])
def test_a_url_that_is_not_below_the_mount_point_is_refused(url: str) -> None:
    cache = PageCache(Shop(page(b"hello")))
    with pytest.raises(ArgumentError, match=f"{url} is not below the mount point '/shop'"):
        cache.trace(url, "/shop")


def test_pages_for_everybody_are_told_as_such() -> None:
    cache = PageCache(Shop(page(b"hello", headers=FIELDS)), profile="rfc9111", now=lambda: NOW)
    ask(cache, "/a")
    lines = cache.trace("http://localhost/a")
    assert (lines[1], lines[-1]) == (
        "visitor: anybody, profile rfc9111",
        "decision: 200 from the store (RFC 9111 §4)",
    )
