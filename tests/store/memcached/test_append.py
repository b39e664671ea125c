"""Records that several processes append to one value, over a real server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import PATIENT_URL, Cluster
from tests.store.memcached.stage import KINDS, hanging, run_as, together
from tools.real_memcached import Memcached
from wsgistack.errors import StoreDown
from wsgistack.store.base import Addition, is_appending
from wsgistack.store.memcached import requests
from wsgistack.store.memcached.store import MemcachedStore
from wsgistack.store.url import make_store


def open_store(*servers: Memcached, options: str = PATIENT_URL) -> MemcachedStore:
    store = make_store(f"memcached://{','.join(server.address for server in servers)}{options}")
    assert isinstance(store, MemcachedStore)
    return store


@pytest.fixture
def store(memcached: Memcached) -> Iterator[MemcachedStore]:
    """A store over one server."""
    store = open_store(memcached)
    yield store
    store.close()


def calls(store: MemcachedStore) -> int:
    return sum(node.counters.calls for node in store._cluster.nodes())


def test_it_is_one_request_for_each_record() -> None:
    call = requests.append_many(
        [requests.Append(b"a", b"xy", 60, None), requests.Append(b"b", b"z", 5, (7, b"old"))]
    )
    o = call.opaque
    assert call.payload == (
        b"ms a 0 T60 F0 ME O%d\r\n\r\nms a 2 MA O%d\r\nxy\r\nmg a v f c t T60 O%d\r\n"
        b"ms b 3 T5 F0 C7 O%d\r\nold\r\nms b 0 T5 F0 ME O%d\r\n\r\nms b 1 MA O%d\r\nz\r\nmg b v f c t T5 O%d\r\n"
    ) % (o, o + 1, o + 2, o + 3, o + 4, o + 5, o + 6)
    assert call.count == 7


def test_a_record_goes_behind_what_is_there(store: MemcachedStore) -> None:
    assert is_appending(store)
    assert [one.value for one in store.append_many([Addition("a", b"1;", 60), Addition("b", b"2;", 60)])] == [b"1;", b"2;"]  # fmt: skip
    assert store.append_many([Addition("a", b"3;", 60)])[0].value == b"1;3;"
    assert calls(store) == 2


def test_what_stands_instead_stands_there_only_if_nobody_was_quicker(store: MemcachedStore) -> None:
    (first,) = store.append_many([Addition("a", b"1;", 60)])
    (second,) = store.append_many([Addition("a", b"2;", 60, (first.token, b"one;"))])
    assert second.value == b"one;2;"
    (third,) = store.append_many([Addition("a", b"3;", 60, (first.token, b"late;"))])
    assert third.value == b"one;2;3;"


def test_the_time_to_live_begins_anew(store: MemcachedStore, memcached: Memcached) -> None:
    store.append_many([Addition("a", b"1;", 5)])
    store.append_many([Addition("a", b"1;", 5000)])
    assert int(memcached.ask(b"mg a t").split(b"t")[1]) > 4000
    store.append_many([Addition("a", b"1;", 40 * 86_400)])
    assert int(memcached.ask(b"mg a t").split(b"t")[1]) > 39 * 86_400, "it is no date of 1970"


@pytest.mark.parametrize("kind", KINDS)
def test_everybody_sees_one_order(kind: str, memcached_cluster: Cluster) -> None:
    servers = memcached_cluster(2)

    def script() -> list[list[tuple[bytes, bytes]]]:
        store = open_store(*servers)

        def write(who: int) -> list[tuple[bytes, bytes]]:
            seen = []
            for number in range(30):
                record = b"%d.%d;" % (who, number)
                found = store.append_many([Addition("a", record, 60), Addition("b", record, 60)])
                assert all(record in one.value for one in found)
                seen.append((found[0].value, found[1].value))
            return seen

        try:
            return together(kind, [lambda who=who: write(who) for who in range(6)])  # type: ignore[misc]
        finally:
            store.close()

    logs = [log for one in run_as(kind, script) for log in one]
    for place in (0, 1):
        whole = max((log[place] for log in logs), key=len)
        assert len(whole.split(b";")) == 6 * 30 + 1
        assert all(whole.startswith(log[place]) for log in logs)


def test_a_node_that_is_away_is_told_and_keeps_what_it_had(memcached: Memcached) -> None:
    store = open_store(memcached)
    store.append_many([Addition("a", b"1;", 60)])
    with hanging(store, memcached, patience_s=0.05):
        for _ in range(3):
            with pytest.raises(StoreDown):
                store.append_many([Addition("a", b"2;", 60)])
    again = open_store(memcached)
    assert again.append_many([Addition("a", b"3;", 60)])[0].value in (b"1;2;3;", b"1;3;", b"1;2;2;3;")
    for one in (store, again):
        one.close()


def test_another_node_stands_in_for_a_while(memcached_cluster: Cluster) -> None:
    servers = memcached_cluster(2)
    store = open_store(*servers, options=f"{PATIENT_URL}&gutter_ttl=5")
    key = next(
        f"k{n}"
        for n in range(100)
        if store._cluster.snapshot.owner(f"k{n}".encode()).name == servers[0].address
    )
    store.append_many([Addition(key, b"1;", 60)])
    with hanging(store, servers[0]):
        with pytest.raises(StoreDown):
            store.append_many([Addition(key, b"2;", 60)])
        assert store.append_many([Addition(key, b"3;", 60)])[0].value == b"3;"
        assert 0 <= int(servers[1].ask(b"mg " + key.encode() + b" t").split(b"t")[1]) <= 5
    store.close()
