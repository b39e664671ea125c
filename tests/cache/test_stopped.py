"""Who follows a page and has a part of it when its maker stops: nobody is cut short who need not be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import gevent
import pytest
from gevent.event import Event
from webob import Request

from tests.cache.shop import FRESH, NOW, heard_by
from tests.cache.test_together import LONG_S, get
from wsgistack.cache import coalesce
from wsgistack.cache.coalesce import Left
from wsgistack.cache.middleware import PageCache
from wsgistack.store.memory import MemoryStore

SOON_S = 0.02
HEAD = [*FRESH, ("Content-Length", "7")]


class Stopping:
    """An application whose pages come in two blocks; the first page, or each one of *count*, stops between them."""

    def __init__(self, stop: Callable[[], object], *, count: int = 1, rest: str = "two") -> None:
        self.calls = 0
        self.gate = Event()  # until then nobody is sent a head, so that all can come together
        self._stop = stop
        self._count = count
        self._rest = rest

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self.calls += 1
        number = self.calls
        self.gate.wait(LONG_S)
        start_response("200 OK", HEAD)
        return self._blocks(number)

    def _blocks(self, number: int) -> Iterator[bytes]:
        yield b"one " if self._rest else b"one%d" % number
        if number <= self._count:
            gevent.sleep(0)
            gevent.sleep(0)
            self._stop()
        yield (self._rest or "two").encode()


def raise_it() -> None:
    raise ConnectionError("database is gone")


def follow(app: Stopping, cache: PageCache, count: int) -> list[Any]:
    """Let a leader and *count* others come together; return what became of the others."""
    leader = gevent.spawn(get, cache)
    gevent.sleep(0)
    others = [gevent.spawn(get, cache) for _ in range(count)]
    gevent.sleep(0)
    app.gate.set()
    gevent.joinall(others, timeout=LONG_S)
    leader.kill()
    return others


def shared_store(is_shared: bool) -> MemoryStore:
    store = MemoryStore(1 << 20)
    store.shared = is_shared
    return store


@pytest.mark.parametrize("is_shared", [False, True])
def test_when_an_application_fails_in_the_middle_one_of_those_who_follow_makes_the_rest(
    is_shared: bool,
) -> None:
    app = Stopping(raise_it)
    cache = PageCache(app, now=lambda: NOW, store=shared_store(is_shared), coalesce_wait=LONG_S)
    others = follow(app, cache, 20)
    assert {other.get(timeout=0)[2] for other in others} == {b"one two"}
    assert app.calls == 2
    assert get(cache)[1]["Cache-Status"].startswith("wsgistack; hit")


@pytest.mark.parametrize("is_shared", [False, True])
def test_when_an_application_stands_still_those_who_follow_wait_for_a_time_and_ask_again(
    is_shared: bool,
) -> None:
    ever = Event()

    def stand_still() -> None:
        assert cache._coalescer is not None
        cache._coalescer.wait_s = LONG_S  # who asks again waits for no lease: his own process has it
        ever.wait(LONG_S)

    app = Stopping(stand_still)
    cache = PageCache(app, now=lambda: NOW, store=shared_store(is_shared), coalesce_wait=SOON_S)
    others = follow(app, cache, 5)
    assert {other.get(timeout=0)[2] for other in others} == {b"one two"}
    ever.set()


@pytest.mark.parametrize("is_shared", [False, True])
def test_when_a_client_stops_reading_in_the_middle_those_who_follow_do_not_wait_for_it(
    is_shared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coalesce, "MOST_HELD_S", SOON_S)
    app = Stopping(lambda: None, count=0)
    cache = PageCache(app, now=lambda: NOW, store=shared_store(is_shared), coalesce_wait=LONG_S)
    bodies: list[Any] = []

    def stall() -> None:
        bodies.append(cache(Request.blank("/").environ, heard_by([])))
        next(iter(bodies[0]))  # and never reads on

    leader = gevent.spawn(stall)
    gevent.sleep(0)
    others = [gevent.spawn(get, cache) for _ in range(20)]
    gevent.sleep(0)
    app.gate.set()
    gevent.joinall([leader, *others], timeout=LONG_S, raise_error=True)
    assert {other.get(timeout=0)[2] for other in others} == {b"one two"}
    assert app.calls == 2
    assert list(bodies[0]) == [b"two"]


def test_when_every_page_fails_in_the_middle_each_asks_for_himself_and_gets_what_there_is() -> None:
    app = Stopping(raise_it, count=1000)
    cache = PageCache(app, now=lambda: NOW, coalesce_wait=LONG_S)
    others = follow(app, cache, 20)
    assert {type(other.exception) for other in others} == {ConnectionError}
    assert app.calls <= 21


def test_who_was_sent_something_else_is_cut_short() -> None:
    app = Stopping(raise_it, rest="")
    others = follow(app, PageCache(app, now=lambda: NOW, coalesce_wait=LONG_S), 3)
    assert {type(other.exception) for other in others} == {Left}
    assert "another answer has another body" in str(others[0].exception)


def test_what_is_private_in_the_middle_of_a_page_reaches_no_follower() -> None:
    held, told, calls = Event(), Event(), []

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        calls.append(1)
        number = len(calls)
        gevent.sleep(0.01)  # until the other one waits
        start_response("200 OK", [*FRESH, ("Content-Length", "17")])

        def blocks() -> Iterator[bytes]:
            yield b"page "
            if number == 1:
                held.wait(LONG_S)
            environ["wsgistack.cache"].private()
            yield b"token %d" % number
            if number == 1:
                told.wait(LONG_S)
            yield b" done"

        return blocks()

    cache = PageCache(app, now=lambda: NOW)
    read: list[bytes] = []

    def follow() -> None:
        for block in cache(Request.blank("/").environ, heard_by([])):
            read.append(block)
            held.set()
        told.set()

    leader = gevent.spawn(get, cache)
    gevent.sleep(0)
    follower = gevent.spawn(follow)
    gevent.joinall([leader, follower], timeout=LONG_S, raise_error=True)
    # Who follows asks for himself then, and had been sent nothing that was another's.
    assert (leader.value[2], read) == (b"page token 1 done", [b"page ", b"token 2", b" done"])
