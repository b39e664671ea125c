"""What a change made worthless is nobody's any more, over every store, whatever happens at the same time.

Several processes' caches over one store, two clients at each, all at once by a seed: reads of two pages,
in two languages and with queries that mean the same, and changes of them.  Who begins to ask after a
change was answered gets a page of after it, whichever process took the change.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple

import pytest
from webob import Request

from tests.cache.shop import FRESH, heard_by
from tests.cache.test_tickets import memcached, shm
from wsgistack.cache.middleware import PageCache
from wsgistack.store.guarded import Guarded
from wsgistack.store.memory import MemoryStore

CACHES, CLIENTS, STEPS = 3, 2, 60
KINDS = {
    "plain": [],
    "varying": [("Vary", "Accept-Language")],
    "searched": [("No-Vary-Search", 'params=("utm")')],
    "both": [("Vary", "Accept-Language"), ("No-Vary-Search", 'params=("utm")')],
}


class Preempted(MemoryStore):
    """Lets others run right before each write, as a thread that is preempted there does."""

    def set(self, key: str, value: bytes, ttl_s: float, *, pinned: bool = False) -> None:
        time.sleep(random.random() * 0.002)
        super().set(key, value, ttl_s, pinned=pinned)


@contextmanager
def memory() -> Iterator[Callable[[], Any]]:
    store = Preempted(1 << 22)
    yield lambda: store


STORES = {"shm": shm, "memcached": memcached, "memory": memory}


class Read(NamedTuple):
    began: int
    name: str
    value: int


class Change(NamedTuple):
    ended: int
    name: str
    value: int


class World:
    """A site of counters, and what its clients saw; times are turns of one clock."""

    def __init__(self, fields: list[tuple[str, str]]) -> None:
        self.fields = [*FRESH, *fields]
        self.is_searched = any(name == "No-Vary-Search" for name, _ in fields)
        self.values = dict.fromkeys((self.resource(f"/{path}?utm={n}") for path in "ab" for n in (1, 2)), 0)
        self.seen: list[Read | Change] = []
        self.made = 0
        self._lock = threading.Lock()
        self._turn = 0

    def resource(self, url: str) -> str:
        """Return what a URL is about: another query is another thing where pages do not say otherwise."""
        return url.partition("?")[0] if self.is_searched else url

    def turn(self) -> int:
        with self._lock:
            self._turn += 1
            return self._turn

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        name, rest_s = self.resource(Request(environ).path_qs), random.random() * 0.004
        if environ["REQUEST_METHOD"] == "POST":
            with self._lock:
                self.values[name] += 1
                value = self.values[name]
            start_response("200 OK", [("Content-Length", str(len(str(value))))])
            return [b"%d" % value]
        value = self.values[name]
        self.made += 1
        time.sleep(rest_s)  # it is of before whatever happens meanwhile
        start_response("200 OK", [*self.fields, ("Content-Length", str(len(str(value))))])
        return [b"%d" % value]

    def visit(self, cache: PageCache, seed: int) -> None:
        """Be a client."""
        rng = random.Random(seed)
        for _ in range(STEPS):
            url, method = (
                f"/{rng.choice('ab')}?utm={rng.randint(1, 2)}",
                rng.choices(("GET", "POST"), (6, 1))[0],
            )
            request = Request.blank(url, method=method, headers={"Accept-Language": rng.choice(("de", "en"))})
            began = self.turn()
            body = cache(request.environ, heard_by([]))
            value = int(b"".join(body))
            getattr(body, "close", lambda: None)()
            told = Change if method == "POST" else Read
            self.seen.append(told(self.turn() if method == "POST" else began, self.resource(url), value))
            time.sleep(rng.random() * 0.002)

    def find_stale(self) -> list[str]:
        """Return what was read of before a change that had been answered."""
        found = []
        changes = [one for one in self.seen if isinstance(one, Change)]
        for read in self.seen:
            if isinstance(read, Read):
                told = [one.value for one in changes if one.name == read.name and one.ended < read.began]
                if read.value < max(told, default=0):
                    found.append(f"{read} after {max(told)}")
        return found


def tell(store: AbstractContextManager[Any], kind: str, seed: int, *, coalesce: bool) -> World:
    """Tell one story, and return what was seen."""
    world = World(KINDS[kind])
    with store as make:
        caches = [
            PageCache(world, store=Guarded(make(), slow_s=60.0), coalesce=coalesce) for _ in range(CACHES)
        ]
        clients = [
            threading.Thread(target=world.visit, args=(cache, seed * 100 + number))
            for number, cache in enumerate(caches * CLIENTS)
        ]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
    return world


@pytest.mark.parametrize("coalesce", [True, False])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("store", STORES)
def test_who_asks_after_a_change_gets_a_page_of_after_it(store: str, kind: str, coalesce: bool) -> None:
    world = tell(STORES[store](), kind, 1, coalesce=coalesce)
    assert world.find_stale() == []
    reads = sum(isinstance(one, Read) for one in world.seen)
    assert len(world.seen) == CACHES * CLIENTS * STEPS
    assert world.made < reads  # some were answered out of the store
