"""The memory store: its bounds, what it costs, what stays."""

import threading
import tracemalloc

import pytest

from tests.contracts.stores import Clock
from wsgistack.errors import ArgumentError, StoreFull, TooLarge
from wsgistack.store.memory import LEAST_BYTES, MemoryStore
from wsgistack.store.queues import Entry

KB = 1024


@pytest.mark.parametrize("max_bytes", [0, -1, LEAST_BYTES - 1, 1.5e6, float("nan"), "64m"], ids=repr)
def test_a_size_that_cannot_be_meant_is_refused(max_bytes: int) -> None:
    with pytest.raises(ArgumentError, match="max_bytes"):
        MemoryStore(max_bytes)


@pytest.mark.parametrize("value_bytes", [0, 100, 4000])
def test_the_bytes_that_it_counts_are_those_that_it_takes(value_bytes: int) -> None:
    tracemalloc.start()
    try:
        store = MemoryStore(4 * KB * KB)
        before = tracemalloc.get_traced_memory()[0]
        for number in range(20_000):
            store.set(f"page:/articles/{number}", bytes(value_bytes), 60.0 + number)
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert store.stats()["evictions"] > 0
    assert 0.75 < taken / store.stats()["bytes"] <= 1.05  # what other threads allocate is traced too


def test_it_never_grows_past_its_bound() -> None:
    store = MemoryStore(100 * KB)
    for number in range(2000):
        store.set(str(number), bytes(number % 7000), 60, pinned=number % 50 == 0)
        assert store.stats()["bytes"] <= 100 * KB
        if number % 3 == 0:
            store.delete(str(number - 1))
    assert store.stats()["items"] > 10


def test_a_value_of_more_than_an_eighth_is_refused_and_the_old_one_gone() -> None:
    store = MemoryStore(100 * KB)
    store.set("key", b"old", 60)
    with pytest.raises(TooLarge, match="'key': an entry of"):
        store.set("key", bytes(13 * KB), 60)
    assert store.get("key") is None


def test_what_has_expired_leaves_before_what_is_pinned_or_used() -> None:
    clock = Clock()
    store = MemoryStore(64 * KB, clock=clock)
    store.set("pinned for a moment", bytes(7 * KB), 1, pinned=True)
    clock.now += 2
    for number in range(7):
        store.set(f"pinned {number}", bytes(7 * KB), 600, pinned=True)
    store.set("one more", bytes(5 * KB), 600, pinned=True)
    assert store.get("pinned for a moment") is None
    assert store.stats()["items"] == 8


def test_a_store_full_of_pinned_entries_says_so_and_keeps_them() -> None:
    store = MemoryStore(64 * KB)
    for number in range(8):
        store.set(f"blocked {number}", bytes(7 * KB), 600, pinned=True)
    with pytest.raises(StoreFull):
        store.set("one more", bytes(7 * KB), 600, pinned=True)
    with pytest.raises(StoreFull):
        store.set("not pinned", bytes(7 * KB), 600)
    assert all(store.get(f"blocked {number}") for number in range(8))
    assert store.get("one more") is None


def test_pinned_entries_outlive_a_flood_of_others() -> None:
    store = MemoryStore(100 * KB)
    store.set("blocked", b"until noon", 600, pinned=True)
    store.set("later", b"", 600)
    store.set("later", b"pinned", 600, pinned=True)
    assert store.incr("count", 1, 600, pinned=True) == 1
    for number in range(5000):
        store.set(f"flood {number}", bytes(500), 600)
    assert store.get_many(["blocked", "later", "count"]) == {
        "blocked": b"until noon",
        "later": b"pinned",
        "count": b"1",
    }


def test_what_is_read_outlives_a_scan() -> None:
    store = MemoryStore(200 * KB)
    popular = [f"popular {number}" for number in range(50)]
    for _ in range(3):
        for key in popular:
            if store.get(key) is None:
                store.set(key, bytes(500), 600)
    for number in range(5000):
        store.set(f"scan {number}", bytes(500), 600)
        store.get(popular[number % 50])
    assert len(store.get_many(popular)) == 50


def test_who_comes_back_soon_is_taken_into_the_main_queue() -> None:
    store = MemoryStore(100 * KB)
    for number in range(130):
        store.set(f"first {number}", bytes(700), 600)
    returned = [f"first {number}" for number in range(5)]  # the first in are gone by now
    for key in returned:
        assert store.add(key, bytes(700), 600)
    for number in range(500):
        store.set(f"second {number}", bytes(700), 600)
    assert len(store.get_many(returned)) >= 3  # a hash may have taken another's place among the ghosts


def test_an_entry_that_grows_stays_whatever_stood_behind_it() -> None:
    store = MemoryStore(64 * KB)
    for number in range(100):
        store.set(str(number), bytes(100), 600)
    store.set("99", bytes(100), 600)
    oldest = next(str(number) for number in range(100) if store.get(str(number)) is not None)
    for number in range(100):
        store.set(f"full {number}", bytes(100), 600)
    store.set(oldest, bytes(7 * KB), 600)
    assert store.get(oldest) == bytes(7 * KB)


def test_many_deletions_leave_no_memory_behind() -> None:
    tracemalloc.start()
    try:
        store = MemoryStore(8 * KB * KB)
        before = tracemalloc.get_traced_memory()[0]
        for number in range(20_000):
            store.set("key", b"value", 600, pinned=number % 2 == 0)
            store.delete("key")
        assert tracemalloc.get_traced_memory()[0] - before < 600_000
    finally:
        tracemalloc.stop()
    assert store.stats()["bytes"] == 0


def test_a_token_is_never_newer_than_the_value_beside_it() -> None:
    store = MemoryStore(64 * KB)
    store.set("key", b"old", 600)

    class Racing(Entry):
        """Is changed right behind the reading of its value, as by another thread."""

        __slots__ = ()

        @property
        def value(self) -> bytes:  # type: ignore[override]  # of a slot
            value: bytes = Entry.__dict__["value"].__get__(self)
            self.__class__ = Entry  # type: ignore[assignment]  # once
            store.set("key", b"new", 600)
            return value

    store._entries["key"].__class__ = Racing
    found = store.gets("key")
    assert found is not None
    assert store.cas("key", found.value + b"+", 600, found.token) is False
    assert store.get("key") == b"new"


def test_threads_that_do_everything_leave_the_books_balanced() -> None:
    store = MemoryStore(64 * KB)

    def work(seed: int) -> None:
        for number in range(3000):
            key = f"k{(number * 7 + seed) % 150}"
            if number % 5 == 0:
                store.delete(key)
            elif number % 7 == 0:
                store.incr(f"n{seed}", 1, 60)
            else:
                store.set(key, bytes((number * 31) % 2000), 60)
            store.get(key)

    workers = [threading.Thread(target=work, args=[seed]) for seed in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    store.delete_many([f"k{number}" for number in range(150)] + [f"n{seed}" for seed in range(6)])
    assert store.stats()["items"] == 0
    assert store.stats()["bytes"] == 0
