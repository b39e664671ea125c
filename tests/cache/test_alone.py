"""URLs whose responses cannot be shared: their requests go alone, and spare the look into the store."""

from __future__ import annotations

from collections.abc import Iterable

from tests.cache.shop import FRESH, NOW
from tests.cache.test_together import Slow, get
from wsgistack.cache.middleware import PageCache
from wsgistack.store.memory import MemoryStore


class Counting(MemoryStore):
    """A store that counts how often it is looked into for pages."""

    looks = 0

    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        self.looks += 1
        return super().get_many(keys)


def test_what_could_not_be_shared_is_not_looked_for_once_nothing_was_there() -> None:
    fields = [("Cache-Control", "private")]
    app, store = Slow(lambda number: (fields, [b"%d" % number])), Counting(1 << 20)
    app.gate.set()
    cache = PageCache(app, store=store, now=lambda: NOW)
    assert [get(cache)[2] for _ in range(2)] == [b"1", b"2"]
    store.looks = 0
    assert [get(cache)[2] for _ in range(3)] == [b"3", b"4", b"5"]
    assert store.looks == 0
    fields[:] = FRESH
    assert [get(cache)[2] for _ in range(2)] == [b"6", b"6"], "what can be shared again is kept, and found"


def test_what_can_only_be_validated_is_looked_for_although_nobody_waits_for_it() -> None:
    fields = [("Cache-Control", "no-store")]
    app, store = Slow(lambda number: (fields, [b"%d" % number])), Counting(1 << 20)
    app.gate.set()
    cache = PageCache(app, store=store, now=lambda: NOW)
    for _ in range(3):
        get(cache)
    fields[:] = [("Cache-Control", "no-cache"), ("ETag", '"a"')]
    get(cache)
    assert get(cache)[1]["Cache-Status"].startswith("wsgistack; fwd=stale"), (
        "it is asked whether the page holds"
    )


def test_a_client_that_wants_no_new_page_is_told_so_without_a_look() -> None:
    app = Slow(lambda number: ([("Cache-Control", "private")], [b"mine"]))
    app.gate.set()
    cache = PageCache(app, profile="rfc9111", now=lambda: NOW)
    for _ in range(3):
        get(cache)
    assert get(cache, Cache_Control="only-if-cached")[0] == "504 Gateway Timeout"
    assert app.calls == 3
