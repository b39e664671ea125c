"""What is particular to the store over memcached; the contract of all stores is tests/contracts."""

from __future__ import annotations

import os

import pytest

from tests.conftest import PATIENT_URL, Cluster
from tests.store.memcached.stage import hanging
from tools.real_memcached import Memcached
from wsgistack.errors import CounterError, StoreDown, TooLarge
from wsgistack.store.base import Step
from wsgistack.store.memcached.store import MemcachedStore
from wsgistack.store.url import make_store


def open_store(*servers: Memcached, options: str = PATIENT_URL) -> MemcachedStore:
    store = make_store(f"memcached://{','.join(server.address for server in servers)}{options}")
    assert isinstance(store, MemcachedStore)
    return store


def test_a_node_that_is_away_is_told(memcached: Memcached) -> None:
    store = open_store(memcached, options=f"{PATIENT_URL}&on_down=miss")
    store.set("key", b"value", 60)
    memcached.kill()
    for call in (
        lambda: store.get("key"),
        lambda: store.set("key", b"x", 60),
        lambda: store.incr("key", 1, 60),
        lambda: store.incr_many([Step("a", 1, 60)]),
        lambda: store.delete("key"),
        lambda: store.touch("key", 60),
        lambda: store.set_many({"a": b"1"}, 60),
        store.clear,
    ):
        with pytest.raises(StoreDown):
            call()
    assert store.get_many(["key"]) == {}
    store.close()


def test_what_a_count_left_behind_and_bytes_that_look_the_same_are_apart(memcached: Memcached) -> None:
    store = open_store(memcached)
    store.set("count", b"1000", 60)
    assert store.incr("count", -991, 60) == 9
    store.set("bytes", b"9   ", 60)
    assert store.get_many(["count", "bytes"]) == {"count": b"9", "bytes": b"9   "}
    store.close()


def test_a_large_value_is_whole_over_all_nodes(memcached_cluster: Cluster) -> None:
    servers = memcached_cluster(2)
    store = open_store(*servers)
    value = os.urandom(3_000_000)
    store.set("large", value, 60)
    assert store.get("large") == value
    with pytest.raises(TooLarge):
        store.set("large", b"x" * 17_000_000, 60)
    store.close()


def test_a_count_beyond_63_bits_is_refused_and_left(memcached: Memcached) -> None:
    store = open_store(memcached)
    store.set("key", str(2**63).encode(), 60)
    with pytest.raises(CounterError, match="no count below"):
        store.incr("key", 5, 60)
    assert store.get("key") == str(2**63).encode()
    store.close()


def test_while_a_node_hangs_another_stands_in(memcached_cluster: Cluster) -> None:
    servers = memcached_cluster(2)
    store = open_store(*servers)
    keys = [f"key:{number}" for number in range(20)]
    store.set_many(dict.fromkeys(keys, b"value"), 60)
    node = store._cluster.find(servers[0].address)
    assert node is not None
    with hanging(store, servers[0]):
        while node.may_write:  # a time-out blames no node while this process stood still itself
            store.get_many(keys)
        store.set_many(dict.fromkeys(keys, b"new"), 60)
        assert store.get_many(keys) == dict.fromkeys(keys, b"new")
    store.close()


def test_a_compressed_value_is_unpacked_once_and_never_taken_for_another(memcached: Memcached) -> None:
    store = open_store(memcached)
    one, other = b"a page " * 1000, b"a newer page " * 1000
    store.set_many({"page": one, "second": other}, 60)
    first = store.get_many(["page", "second"])
    assert first == {"page": one, "second": other}
    again = store.get_many(["page", "second"])
    assert again["page"] is first["page"]
    assert again["second"] is first["second"]
    store.set("page", other, 60)
    assert store.get_many(["page"]) == {"page": other}
    assert store.get("page") == other
    store.close()


def test_what_is_remembered_of_compressed_values_is_bounded(memcached: Memcached) -> None:
    store = open_store(memcached)
    pages = {f"page:{number}": b"%d " % number * 1000 for number in range(300)}
    store.set_many(pages, 60)
    assert store.get_many(pages) == pages
    assert len(store._inflated) <= 256
    store.set("large", b"x" * 65_537, 60)
    assert store.get("large") == b"x" * 65_537
    assert not any(len(value) > 65_536 for _, value in store._inflated.values())
    store.close()
