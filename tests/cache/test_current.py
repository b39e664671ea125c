"""Who follows the making of a page: nobody who came after a change that it does not know of."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.cache.shop import FRESH, NOW
from tests.cache.test_tickets import SEARCHED, VARYING, Site, ask, memcached, shared_memory, shm
from tests.store.memcached.stage import wait_until
from wsgistack.cache.middleware import PageCache


@pytest.fixture(params=[shm, memcached, shared_memory], ids=lambda make: make.__name__)
def stores(request: pytest.FixtureRequest) -> Iterator[list[Any]]:
    """The store as two processes have it."""
    with request.param() as make:
        yield [make(), make()]


class Held(Site):
    """A site whose first page waits until it is let go."""

    def __init__(self, fields: list[tuple[str, str]]) -> None:
        super().__init__(fields)
        self.is_asked, self.may_go = threading.Event(), threading.Event()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "GET" and not self.is_asked.is_set():
            self.meanwhile = [lambda: self.may_go.wait(60.0)]
            self.is_asked.set()
        return super().__call__(environ, start_response)


@contextmanager
def held(site: Held, cache: PageCache) -> Iterator[list[bytes]]:
    """Let a page be made in the background; the block ends before it does."""
    got: list[bytes] = []
    client = threading.Thread(target=lambda: got.append(ask(cache)))
    client.start()
    assert site.is_asked.wait(60.0)
    try:
        yield got
    finally:
        site.may_go.set()
        client.join()


@pytest.mark.parametrize("fields", [FRESH, VARYING, SEARCHED], ids=["plain", "varying", "searched"])
@pytest.mark.parametrize("is_known", [False, True])
def test_who_asks_after_a_change_elsewhere_follows_no_page_of_before_it(
    stores: list[Any], fields: list[tuple[str, str]], is_known: bool
) -> None:
    site, now = Held(fields), [NOW]
    one, other = (PageCache(site, store=each, now=lambda: now[0], coalesce_wait=0.1) for each in stores)
    if is_known:
        site.is_asked.set()
        ask(one)
        now[0] += 61.0
        site.is_asked.clear()
    with held(site, one) as got:
        ask(other, "/x?utm=2" if fields is SEARCHED else "/x", "POST")
        assert [ask(one), ask(other)] == [b"1", b"1"]
    assert got == [b"0"]
    assert [ask(one), ask(other)] == [b"1", b"1"]


def test_who_follows_a_first_page_is_not_given_what_another_query_changed(stores: list[Any]) -> None:
    site = Held(SEARCHED)  # nobody knows yet that the queries mean the same
    one, other = (PageCache(site, store=each, now=lambda: NOW) for each in stores)
    got: list[bytes] = []
    with held(site, one) as first:
        ask(other, "/x?utm=2", "POST")
        follower = threading.Thread(target=lambda: got.append(ask(one)))
        follower.start()
        assert one._coalescer is not None
        (flight,) = one._coalescer._flights.values()
        wait_until(lambda: flight.followers == 1, 60.0)
    follower.join()
    assert (first, got) == ([b"0"], [b"1"])


@pytest.mark.parametrize("how", ["POST", "purge"])
def test_who_asks_after_a_change_here_follows_no_page_of_before_it(how: str) -> None:
    site = Held(FRESH)
    cache = PageCache(site, now=lambda: NOW)
    with held(site, cache) as got:
        ask(cache, method="POST") if how == "POST" else cache.purge(everything=True)
        site.value = 1
        assert ask(cache) == b"1"
    assert got == [b"0"]
    assert ask(cache) == b"1"


def test_who_asks_while_nothing_changed_follows(stores: list[Any]) -> None:
    site = Held(FRESH)
    cache = PageCache(site, store=stores[0], now=lambda: NOW)
    got: list[bytes] = []
    with held(site, cache) as first:
        followers = [threading.Thread(target=lambda: got.append(ask(cache))) for _ in range(5)]
        for follower in followers:
            follower.start()
        assert cache._coalescer is not None
        (flight,) = cache._coalescer._flights.values()
        wait_until(lambda: flight.followers == 5, 60.0)
    for follower in followers:
        follower.join()
    assert got + first == [b"0"] * 6
    assert site.made == 1
