"""Many requests for a page that nobody has: one makes it, and nobody gets what is another's."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import gevent
import pytest
from gevent.event import Event
from webob import Request

from tests.cache.shop import FRESH, NOW, TEXT, heard_by
from tests.contracts.stores import Clock
from wsgistack.cache.middleware import PageCache
from wsgistack.store.memory import MemoryStore

LONG_S = 60.0
COLLAPSED = "wsgistack; fwd=uri-miss; stored; collapsed"


def get(app: Any, path: str = "/", **headers: str) -> tuple[str, dict[str, str], bytes]:
    """Ask as a server does: read all, then close."""
    heads: list[Any] = []
    request = Request.blank(path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    body = app(request.environ, heard_by(heads))
    try:
        read = b"".join(body)
    finally:
        getattr(body, "close", lambda: None)()
    return heads[-1][0], dict(heads[-1][1]), read


class Slow:
    """An application of greenlets: each call waits until `gate` is set; *make* answers."""

    def __init__(self, make: Callable[[int], tuple[list[tuple[str, str]], Iterable[bytes]]]) -> None:
        self.make = make
        self.calls = 0
        self.gate = Event()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self.calls += 1
        number = self.calls
        self.gate.wait(LONG_S)
        fields, body = self.make(number)
        start_response("200 OK", fields)
        return body


def crowd(app: Slow, cache: PageCache, count: int, **headers: str) -> list[tuple[str, dict[str, str], bytes]]:
    """Let *count* greenlets ask while the application waits, then let it go on."""
    clients = [gevent.spawn(get, cache, **headers) for _ in range(count)]
    gevent.sleep(0)
    app.gate.set()
    gevent.joinall(clients, timeout=LONG_S)
    return [client.get(timeout=0) for client in clients]


def test_a_thousand_greenlets_at_one_cold_page_are_one_fill() -> None:
    app = Slow(lambda number: (FRESH, [b"page %d" % number]))
    replies = crowd(app, PageCache(app, now=lambda: NOW), 1000)
    assert app.calls == 1
    assert {body for _, _, body in replies} == {b"page 1"}
    told = [fields["Cache-Status"] for _, fields, _ in replies]
    assert (told.count("wsgistack; fwd=uri-miss; ttl=60; stored"), told.count(COLLAPSED)) == (1, 999)


def test_a_thousand_threads_at_one_cold_page_are_one_fill() -> None:
    calls, ready, got = [], threading.Event(), []

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        calls.append(1)
        ready.wait(LONG_S)
        start_response("200 OK", FRESH)
        return [b"page %d" % len(calls)]

    cache = PageCache(app, now=lambda: NOW, coalesce_wait=LONG_S)
    assert cache._coalescer is not None
    cache._coalescer._now = (
        Clock()
    )  # a leader whose thread has no turn for a second would be taken for a slow reader
    threads = [threading.Thread(target=lambda: got.append(get(cache)[2])) for _ in range(1000)]
    for thread in threads:
        thread.start()
    ready.set()
    for thread in threads:
        thread.join(LONG_S)
    assert len(calls) == 1
    assert got == [b"page 1"] * 1000


def test_blocks_reach_the_followers_as_they_come() -> None:
    second = Event()

    def blocks() -> Iterator[bytes]:
        yield b"one "
        second.wait(LONG_S)
        yield b"two"

    app = Slow(lambda number: ([*FRESH, ("Content-Length", "7")], blocks()))
    cache = PageCache(app, now=lambda: NOW)
    leader = gevent.spawn(get, cache)
    gevent.sleep(0)
    read: list[bytes] = []

    def follow() -> None:
        read.extend(cache(Request.blank("/").environ, heard_by([])))

    follower = gevent.spawn(follow)
    gevent.sleep(0)
    app.gate.set()
    while not read:
        gevent.sleep(0)
    assert read == [b"one "]
    second.set()
    gevent.joinall([leader, follower], timeout=LONG_S)
    assert read == [b"one ", b"two"]
    assert (app.calls, leader.value[2]) == (1, b"one two")


@pytest.mark.parametrize(
    "fields",
    [
        [("Cache-Control", "private")],
        [("Cache-Control", "no-store")],
        [*FRESH, ("Set-Cookie", "id=1")],
        [*FRESH, ("Vary", "*")],
        [("Cache-Control", "max-age=0"), ("ETag", '"a"')],
        [TEXT],
    ],
    ids=["private", "no-store", "cookie", "vary", "stale at once", "nothing said"],
)
def test_a_reply_for_one_visitor_reaches_nobody_else(fields: list[tuple[str, str]]) -> None:
    app = Slow(lambda number: (fields, [b"of %d" % number]))
    replies = crowd(app, PageCache(app, now=lambda: NOW), 50)
    assert app.calls == 50
    assert sorted({body for _, _, body in replies}) == sorted(b"of %d" % n for n in range(1, 51))


def test_what_cannot_be_shared_is_not_made_one_after_the_other() -> None:
    """The first shows that it is private; after that all are in the application at once."""
    inside, most = [0], [0]

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        gevent.sleep(0.01)
        inside[0] -= 1
        start_response("200 OK", [("Cache-Control", "private")])
        return [b"mine"]

    cache = PageCache(app, now=lambda: NOW)
    get(cache)
    gevent.joinall([gevent.spawn(get, cache) for _ in range(20)], timeout=LONG_S)
    assert most[0] == 20


def test_a_page_that_becomes_private_while_it_is_made_is_not_shared() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", FRESH)
        yield b"page "
        environ["wsgistack.cache"].private()
        yield b"with a token"

    cache = PageCache(app, now=lambda: NOW)
    assert get(cache)[2] == b"page with a token"
    assert get(cache)[1]["Cache-Status"].startswith("wsgistack; fwd=uri-miss")


def test_followers_of_another_variant_go_alone() -> None:
    app = Slow(lambda number: ([*FRESH, ("Vary", "Accept-Language")], [b"%d" % number]))
    cache = PageCache(app, now=lambda: NOW)
    clients = [gevent.spawn(get, cache, Accept_Language=language) for language in ("de", "en", "de")]
    gevent.sleep(0)
    app.gate.set()
    gevent.joinall(clients, timeout=LONG_S)
    assert [client.value[2] for client in clients] == [b"1", b"2", b"1"]


def test_a_follower_that_wants_no_stored_page_goes_alone() -> None:
    app = Slow(lambda number: ([*FRESH, ("Content-Length", "1")], [b"%d" % number]))
    cache = PageCache(app, profile="rfc9111", now=lambda: NOW)
    clients = [gevent.spawn(get, cache), gevent.spawn(get, cache, Cache_Control="no-cache")]
    gevent.sleep(0)
    app.gate.set()
    gevent.joinall(clients, timeout=LONG_S)
    assert [client.value[2] for client in clients] == [b"1", b"2"]


def test_a_follower_gets_its_range_and_its_304() -> None:
    app = Slow(lambda number: ([*FRESH, ("ETag", '"a"')], [b"hello"]))
    cache = PageCache(app, now=lambda: NOW)
    clients = [
        gevent.spawn(get, cache),
        gevent.spawn(get, cache, Range="bytes=1-3"),
        gevent.spawn(get, cache, If_None_Match='"a"'),
    ]
    gevent.sleep(0)
    app.gate.set()
    gevent.joinall(clients, timeout=LONG_S)
    assert [(c.value[0], c.value[2]) for c in clients] == [
        ("200 OK", b"hello"),
        ("206 Partial Content", b"ell"),
        ("304 Not Modified", b""),
    ]
    assert app.calls == 1


def test_when_a_leader_raises_another_one_leads() -> None:
    def make(number: int) -> tuple[list[tuple[str, str]], Iterable[bytes]]:
        if number == 1:
            raise ConnectionError("database is gone")
        return FRESH, [b"page %d" % number]

    app = Slow(make)
    cache = PageCache(app, now=lambda: NOW)
    clients = [gevent.spawn(get, cache) for _ in range(20)]
    gevent.sleep(0)
    app.gate.set()
    gevent.joinall(clients, timeout=LONG_S)
    assert isinstance(clients[0].exception, ConnectionError)
    assert {client.value[2] for client in clients[1:]} == {b"page 2"}
    assert app.calls == 2


def test_when_the_leaders_client_leaves_the_followers_get_all_of_it() -> None:
    def blocks() -> Iterator[bytes]:
        yield b"one "
        yield b"two"

    app = Slow(lambda number: ([*FRESH, ("Content-Length", "7")], blocks()))
    cache = PageCache(app, now=lambda: NOW)

    def leave() -> None:
        body = cache(Request.blank("/").environ, heard_by([]))
        next(iter(body))
        gevent.sleep(0)
        body.close()  # type: ignore[attr-defined]  # the body of a page that is kept has one

    leader = gevent.spawn(leave)
    gevent.sleep(0)
    follower = gevent.spawn(get, cache)
    gevent.sleep(0)
    app.gate.set()
    gevent.joinall([leader, follower], timeout=LONG_S)
    assert (follower.value[2], app.calls) == (b"one two", 1)
    assert get(cache)[1]["Cache-Status"].startswith("wsgistack; hit")


def test_a_client_that_reads_slowly_holds_up_nobody() -> None:
    calls = []

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        calls.append(1)
        start_response("200 OK", [*FRESH, ("Content-Length", "4")])
        return iter([b"page"])

    cache = PageCache(app, now=lambda: NOW)
    body = iter(cache(Request.blank("/").environ, heard_by([])))
    assert next(body) == b"page"  # and never reads on
    assert get(cache)[2] == b"page"
    assert len(calls) == 1


@pytest.mark.parametrize("is_shared", [False, True])
@pytest.mark.parametrize("length", [[], [("Content-Length", "8")]])
def test_a_client_that_stops_reading_in_the_middle_holds_up_nobody(length: Any, is_shared: bool) -> None:
    app = Slow(lambda number: ([*FRESH, *length], iter([b"page", b" %2d!" % number])))
    app.gate.set()
    store = MemoryStore(1 << 20)
    store.shared = is_shared
    cache = PageCache(app, now=lambda: NOW, store=store, coalesce_wait=LONG_S)
    assert cache._coalescer is not None
    clock = cache._coalescer._now = Clock()
    body = iter(cache(Request.blank("/").environ, heard_by([])))
    assert next(body) == b"page"  # and never reads on
    clock.now += 1.0
    assert get(cache)[2] == b"page  2!"
    assert get(cache)[1]["Cache-Status"] == "wsgistack; hit; ttl=60"
    assert list(body) == [b"  1!"]


def test_who_waits_long_enough_goes_alone() -> None:
    app = Slow(lambda number: (FRESH, [b"page %d" % number]))
    cache = PageCache(app, now=lambda: NOW, coalesce_wait=0.0)
    leader = gevent.spawn(get, cache)
    gevent.sleep(0)
    follower = gevent.spawn(get, cache)
    gevent.sleep(0)
    assert app.calls == 2
    app.gate.set()
    gevent.joinall([leader, follower], timeout=LONG_S)
    assert follower.value[2] == b"page 2"


def test_coalescing_can_be_switched_off() -> None:
    app = Slow(lambda number: (FRESH, [b"page %d" % number]))
    crowd(app, PageCache(app, now=lambda: NOW, coalesce=False), 5)
    assert app.calls == 5


def test_personal_requests_wait_for_nobody() -> None:
    app = Slow(lambda number: (FRESH, [b"page %d" % number]))
    replies = crowd(app, PageCache(app, now=lambda: NOW), 5, Cookie="sessionid=1")
    assert app.calls == 5
    assert {fields["Cache-Status"] for _, fields, _ in replies} == {
        "wsgistack; fwd=bypass; detail=cookie:sessionid"
    }


def test_nothing_is_left_of_a_flight() -> None:
    app = Slow(lambda number: (FRESH, [b"page"]))
    cache = PageCache(app, now=lambda: NOW)
    crowd(app, cache, 20)
    assert cache._coalescer is not None
    assert len(cache._coalescer) == 0


def test_a_store_that_others_share_is_filled_by_one_of_them() -> None:
    class Shared(MemoryStore):
        shared = True

    store = Shared(1 << 22)
    app = Slow(lambda number: (FRESH, [b"page %d" % number]))
    caches = [PageCache(app, store=store, now=time.time) for _ in range(4)]
    clients = [gevent.spawn(get, caches[number % 4]) for number in range(100)]
    gevent.sleep(0.02)
    app.gate.set()
    gevent.joinall(clients, timeout=LONG_S)
    assert {client.value[2] for client in clients} == {b"page 1"}
    assert app.calls == 1


@pytest.mark.parametrize("is_known", [False, True], ids=["first seen", "known by its environ"])
def test_a_page_that_came_between_the_look_and_the_lead_is_not_made_again(is_known: bool) -> None:
    store = MemoryStore(1 << 20)
    others: list[Callable[[], Any]] = []

    class Late(MemoryStore):
        """A store that another request fills right after it was looked at."""

        def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
            found = store.get_many(keys)
            if others:
                others.pop()()
            return found

        def set(self, key: str, value: bytes, ttl_s: float, *, pinned: bool = False) -> None:
            store.set(key, value, ttl_s, pinned=pinned)

    calls = []

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        calls.append(1)
        start_response("200 OK", FRESH)
        return [b"page"]

    cache = PageCache(app, store=Late(1 << 20), now=lambda: NOW)
    if is_known:
        get(cache)
        cache.purge(everything=True)
        calls.clear()
    others.append(lambda: get(cache))
    assert get(cache)[1]["Cache-Status"] == "wsgistack; hit; ttl=60"
    assert len(calls) == 1
