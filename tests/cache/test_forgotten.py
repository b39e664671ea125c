"""What is forgotten of a store of this process is stored by nobody who asked for it before, whoever forgot it."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from webob import Request

from tests.cache.shop import FRESH
from wsgistack.cache import forgotten
from wsgistack.cache.forgotten import Forgotten, forgotten_of
from wsgistack.cache.middleware import PageCache
from wsgistack.store.guarded import Guarded
from wsgistack.store.memory import MemoryStore

PATIENCE_S = 30


class Counter:
    """A site that says how often it was changed; *fields*: of its pages.  A GET waits in *gate* while that is set."""

    def __init__(self, *fields: tuple[str, str]) -> None:
        self.fields = [*FRESH, *fields]
        self.changes = 0
        self.gate: threading.Event | None = None
        self.entered = threading.Event()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        gate, self.changes = self.gate, self.changes + (environ["REQUEST_METHOD"] == "POST")
        said = b"%d" % self.changes
        if environ["REQUEST_METHOD"] == "GET" and gate is not None:
            self.entered.set()
            assert gate.wait(PATIENCE_S)
        start_response("200 OK", [*self.fields, ("Content-Length", str(len(said)))])
        return [said]


class Preempted(MemoryStore):
    """Runs *meanwhile* right before a page is written, as a thread that is preempted there lets others run."""

    meanwhile: Callable[[], None] | None = None

    def set(self, key: str, value: bytes, ttl_s: float, *, pinned: bool = False) -> None:
        if self.meanwhile is not None and not pinned:  # pinned is what tells of purges
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()
        super().set(key, value, ttl_s, pinned=pinned)


def ask(cache: PageCache, url: str = "/", method: str = "GET") -> bytes:
    return bytes(Request.blank(url, method=method).get_response(cache).body)


def held(site: Counter, cache: PageCache, url: str = "/") -> Callable[[], list[bytes]]:
    """Begin to ask for a page; return what ends that and returns what came."""
    site.gate, came = threading.Event(), list[bytes]()
    site.entered.clear()
    client = threading.Thread(target=lambda: came.append(ask(cache, url)))
    client.start()
    assert site.entered.wait(PATIENCE_S)
    gate, site.gate = site.gate, None

    def end() -> list[bytes]:
        gate.set()
        client.join(PATIENCE_S)
        return came

    return end


@pytest.mark.parametrize("fields", [(), (("Vary", "Accept-Language"),), (("No-Vary-Search", "params"),)])
def test_a_change_while_a_page_is_written_removes_it(fields: tuple[tuple[str, str], ...]) -> None:
    site, store = Counter(*fields), Preempted(1 << 20)
    cache = PageCache(site, store=store)
    changing = threading.Thread(target=ask, args=(cache, "/?by=another", "POST"))

    def change() -> None:
        changing.start()
        changing.join(0.2)  # it may have to wait for the write; what it does then is as good

    url = "/" if ("No-Vary-Search", "params") in fields else "/?by=another"
    store.meanwhile = change
    assert ask(cache, url) in (b"0", b"1")
    changing.join(PATIENCE_S)
    assert ask(cache, url) == b"1"


def test_a_change_by_one_cache_counts_for_another_one_over_the_store() -> None:
    site, store = Counter(), MemoryStore(1 << 20)
    one, other = (PageCache(site, store=made) for made in (store, Guarded(store)))
    end = held(site, one)
    assert ask(other, method="POST") == b"1"
    assert ask(one) == b"1"  # it does not follow what is of before the change
    assert end() == [b"0"]
    assert [ask(one), ask(other)] == [b"1", b"1"]


def test_a_change_by_another_query_of_the_same_meaning_counts() -> None:
    site = Counter(("No-Vary-Search", 'params=("utm")'))
    cache = PageCache(site)
    end = held(site, cache, "/?utm=2")  # that it means the same is not known before it is there
    assert ask(cache, "/?utm=1", "POST") == b"1"
    assert ask(cache, "/?utm=2") == b"1"
    assert end() == [b"0"]
    assert [ask(cache, f"/?utm={n}") for n in (1, 2, 3)] == [b"1", b"1", b"1"]


def test_of_what_was_forgotten_too_long_ago_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgotten, "MOST_FORGOTTEN", 2)
    past = Forgotten()
    moments = []
    for text in "abc":
        past.add(text)
        moments.append(past.moment)
    assert past.is_worthless("a", moments[0] - 1)  # it stands in the list no more
    assert past.is_worthless("never forgotten", moments[0] - 1)
    assert not past.is_worthless("never forgotten", moments[0])
    assert past.is_worthless("c", moments[1])
    assert not past.is_worthless("c", moments[2])


def test_each_store_has_one_memory_however_it_is_wrapped() -> None:
    class Bare:
        """Somebody's own, that bears no weak reference."""

        __slots__ = ()
        shared = False

    store = MemoryStore(1 << 20)
    assert forgotten_of(store) is forgotten_of(Guarded(Guarded(store)))
    assert forgotten_of(store) is not forgotten_of(MemoryStore(1 << 20))
    assert isinstance(forgotten_of(Bare()), Forgotten)  # type: ignore[arg-type]  # it is not asked


def test_what_is_known_of_a_store_goes_with_it() -> None:
    store = MemoryStore(1 << 20)
    cache = PageCache(Counter(), store=store)
    past, seen = weakref.ref(forgotten_of(store)), weakref.ref(store)
    assert past() is not None
    del cache, store
    gc.collect()
    assert (past(), seen()) == (None, None)
