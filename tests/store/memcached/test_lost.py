"""What a real server holds after an answer of its was lost, by way of a relay that loses it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.conftest import PATIENT_URL
from tests.store.memcached.stage import KINDS, WHOLE, Relay, run_as, wait_until
from tools.real_memcached import Memcached
from wsgistack.errors import StoreDown
from wsgistack.store.memcached.store import MemcachedStore
from wsgistack.store.url import make_store


@pytest.fixture
def relay(memcached: Memcached) -> Iterator[Relay]:
    with Relay(memcached) as relay:
        yield relay


def open_store(address: str) -> MemcachedStore:
    store = make_store(f"memcached://{address}{PATIENT_URL}&on_down=miss")
    assert isinstance(store, MemcachedStore)
    return store


def add_one(value: bytes | None) -> tuple[bytes, float]:
    return (value or b"") + b"I", 60


def await_return(store: MemcachedStore) -> None:
    wait_until(lambda: store._cluster.nodes()[0].may_read)


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
