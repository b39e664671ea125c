"""What a real server holds after an answer of its was lost, by way of a relay that loses it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from tests.conftest import PATIENT_URL, Cluster
from tests.store.memcached.stage import KINDS, WHOLE, Relay, run_as, wait_until
from tools.real_memcached import Memcached
from wsgistack.errors import StoreDown
from wsgistack.store.memcached.store import MemcachedStore
from wsgistack.store.url import make_store


@pytest.fixture
def relay(memcached: Memcached) -> Iterator[Relay]:
    with Relay(memcached) as relay:
        yield relay


def open_store(address: str, *, on_down: str = "miss") -> MemcachedStore:
    store = make_store(f"memcached://{address}{PATIENT_URL}&on_down={on_down}")
    assert isinstance(store, MemcachedStore)
    return store


def add_one(value: bytes | None) -> tuple[bytes, float]:
    return (value or b"") + b"I", 60


def await_return(store: MemcachedStore) -> None:
    wait_until(lambda: all(node.may_read for node in store._cluster.nodes()))


def owner_of(store: MemcachedStore, key: str) -> str:
    return store._cluster.snapshot.owner(key.encode()).name


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("begins", [None, b"II"])
def test_what_an_update_made_stays_wherever_its_answer_is_lost(
    begins: bytes | None, kind: str, memcached: Memcached, relay: Relay
) -> None:
    def script() -> None:
        other = open_store(memcached.address)
        for missing in (1, 4, WHOLE):
            store, key = open_store(relay.address), f"k{missing}"
            if begins is not None:
                store.set(key, begins, 60)
            relay.lose_answer(missing)
            with pytest.raises(StoreDown):
                store.update(key, add_one)
            assert other.update(key, add_one) == (begins or b"") + b"II"
            await_return(store)
            assert store.update(key, add_one) == (begins or b"") + b"III"
            store.close()
        other.close()

    run_as(kind, script)


@pytest.mark.parametrize("kind", KINDS)
def test_an_update_that_never_came_leaves_what_was_there(
    kind: str, memcached: Memcached, relay: Relay
) -> None:
    def script() -> None:
        other = open_store(memcached.address)
        other.set("k", b"II", 60)
        store = open_store(relay.address)
        assert store.get("k") == b"II"
        relay.lose_request(9)
        with pytest.raises(StoreDown):
            store.update("k", add_one)
        await_return(store)
        assert store.update("k", add_one) == other.get("k") == b"III"
        for one in (store, other):
            one.close()

    run_as(kind, script)


@pytest.mark.parametrize(
    ("write", "begins"),
    [
        (lambda store: store.set("k", b"new", 60), b"ms "),
        (lambda store: store.add("k", b"new", 60), b"ms "),
        (lambda store: store.incr("k", 1, 60), b"ma "),
    ],
    ids=["set", "add", "incr"],
)
@pytest.mark.parametrize("kind", KINDS)
def test_what_another_write_made_is_removed(
    write: Callable[[MemcachedStore], object], begins: bytes, kind: str, memcached: Memcached, relay: Relay
) -> None:
    def script() -> None:
        store = open_store(relay.address)
        assert store.get("k") is None
        relay.lose_answer(to=begins)
        with pytest.raises(StoreDown):
            write(store)
        await_return(store)
        assert store.get("k") is None
        store.close()

    run_as(kind, script)


@pytest.mark.parametrize("kind", KINDS)
def test_a_second_copy_that_did_not_hear_of_an_update_is_never_read(
    kind: str, memcached_cluster: Cluster
) -> None:
    """It holds what was there before, and the first one has said what there is now."""

    def script() -> None:
        first, second = memcached_cluster(2)
        with Relay(second) as relay:
            store = open_store(f"{first.address},{relay.address}", on_down="replicate")
            key = next(f"k{n}" for n in range(100) if owner_of(store, f"k{n}") == first.address)
            store.set(key, b"II", 60)
            relay.lose_request(9)
            assert store.update(key, add_one) == b"III"
            await_return(store)
            first.kill()
            node: Any = store._cluster.find(first.address)
            seen: list[bytes | None] = []

            def is_read_from_the_second() -> bool:
                with suppress(StoreDown):
                    seen.append(store.get(key))
                return not node.may_read

            wait_until(is_read_from_the_second)
            assert store.get(key) in (None, b"III")
            assert b"II" not in seen
            store.close()

    run_as(kind, script)
