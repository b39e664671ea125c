"""A ring whose nodes an endpoint tells: one that changes, lies, hangs, dies; requests never notice."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.conftest import PATIENT, PATIENT_URL, Cluster
from tests.store.memcached.stage import KINDS, Fake, pause, run_as, wait_until
from tools.real_memcached import Memcached
from wsgistack import make_store
from wsgistack.errors import ConfigurationError, SettingError, StoreDown
from wsgistack.store.memcached.ring import MemcacheRing

kinds = pytest.mark.parametrize("kind", KINDS)
SOON = 0.05


class Endpoint:
    """A configuration endpoint that says what the test wants; it hears every byte that it is sent."""

    def __init__(self, *servers: Memcached, old: bool = False) -> None:
        self.version = 0
        self.asked = 0
        self.heard: set[bytes] = set()
        self.released = threading.Event()
        self._old = old
        self.say: Callable[[], bytes | None] = lambda: None
        self.tell(*servers)
        self._fake = Fake(self._answer)
        self.address = self._fake.address

    def tell(self, *servers: Memcached) -> None:
        """Say that these are the nodes, in a new version."""
        self.version += 1
        self.say = self.make(self.version, *servers)

    def make(self, version: int, *servers: Memcached) -> Callable[[], bytes]:
        nodes = " ".join(f"localhost|127.0.0.1|{server.port}" for server in servers)
        text = f"{version}\n{nodes}\n".encode()
        head = b"VALUE AmazonElastiCache:cluster 0" if self._old else b"CONFIG cluster 0"
        return lambda: b"%b %d\r\n%b\r\nEND\r\n" % (head, len(text), text)

    def hang(self) -> None:
        self.say = lambda: b"" if self.released.wait(30) else None

    def close(self) -> None:
        self.released.set()
        self._fake.__exit__()

    def _answer(self, data: bytes, number: int) -> bytes | None:
        self.asked += 1
        self.heard.add(data)
        if self._old and data == b"config get cluster\r\n":
            return b"ERROR\r\n"
        return self.say()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    one = Endpoint()
    yield one
    one.close()


def make_ring(*endpoints: Endpoint, discover: float = SOON, **arguments: Any) -> MemcacheRing:
    places = [endpoint.address for endpoint in endpoints]
    return MemcacheRing(places, discover=discover, **{**PATIENT, **arguments})


def hurry(ring: MemcacheRing) -> None:
    """Let looks that find nothing be short from now on; nodes are waited for as long as before."""
    assert ring._cluster.watch is not None
    ring._cluster.watch._timeout_s = 0.5


def ports(ring: MemcacheRing) -> set[int]:
    return {int(node["node"].rpartition(":")[2]) for node in ring.nodes()}


@kinds
def test_the_nodes_are_those_that_the_endpoint_tells_and_it_gets_no_data(
    kind: str, memcached_cluster: Cluster, endpoint: Endpoint
) -> None:
    servers = memcached_cluster(3)
    endpoint.tell(*servers[:2])

    def script() -> None:
        ring = make_ring(endpoint)
        values = {f"k{number}": number for number in range(50)}
        assert ring.set_many(values) == []
        assert ports(ring) == {server.port for server in servers[:2]}
        endpoint.tell(*servers)
        wait_until(lambda: len(ring.nodes()) == 3)
        assert ring.set_many(values) == []
        endpoint.tell(servers[2])
        wait_until(lambda: ports(ring) == {servers[2].port})
        assert ring.set_many(values) == []
        assert ring.get_many(list(values)) == values
        assert ring.discovery()["version"] == endpoint.version
        ring.close()

    run_as(kind, script)
    assert endpoint.heard == {b"config get cluster\r\n"}


def lie_empty(endpoint: Endpoint, other: Memcached) -> Callable[[], bytes | None]:
    return endpoint.make(endpoint.version + 1)


LIES: dict[str, Callable[[Endpoint, Memcached], Callable[[], bytes | None]]] = {
    "no node": lie_empty,
    "garbage": lambda endpoint, other: lambda: os.urandom(500) + b"\r\n",
    "half an answer": lambda endpoint, other: lambda: b"CONFIG cluster 0 500\r\n2\n",
    "it knows of nothing": lambda endpoint, other: lambda: b"ERROR\r\n",
    "it closes": lambda endpoint, other: lambda: None,
    "an older version": lambda endpoint, other: Alternately(endpoint, other),
    "other nodes in the same version": lambda endpoint, other: endpoint.make(endpoint.version, other),
}


class Alternately:
    """An endpoint of several servers, of which one was not told of the change yet."""

    def __init__(self, endpoint: Endpoint, other: Memcached) -> None:
        self.say = [endpoint.make(endpoint.version - 1, other), endpoint.say]

    def __call__(self) -> bytes | None:
        self.say.reverse()
        return self.say[0]()


@kinds
@pytest.mark.parametrize("name", LIES)
def test_an_endpoint_that_lies_changes_nothing(
    name: str, kind: str, memcached_cluster: Cluster, endpoint: Endpoint
) -> None:
    server, other = memcached_cluster(2)
    endpoint.tell(server)
    endpoint.tell(server)

    def script() -> None:
        ring = make_ring(endpoint)
        ring.set("a", 1)
        hurry(ring)
        truth, endpoint.say = endpoint.say, LIES[name](endpoint, other)
        asked = endpoint.asked
        wait_until(lambda: endpoint.asked >= asked + 3)
        assert ports(ring) == {server.port}
        assert ring.get("a") == 1
        endpoint.say = truth
        endpoint.tell(server, other)
        wait_until(lambda: len(ring.nodes()) == 2)
        ring.close()

    run_as(kind, script)


@kinds
def test_nobody_waits_for_an_endpoint_that_hangs(kind: str, memcached: Memcached, endpoint: Endpoint) -> None:
    endpoint.tell(memcached)

    def script() -> None:
        ring = make_ring(endpoint)
        ring.set("a", 1)
        hurry(ring)
        endpoint.hang()

        def answers_in_one_look() -> int:
            failures = ring.discovery()["failures"]
            answers = 0
            while ring.discovery()["failures"] == failures:
                assert ring.get("a") == 1
                answers += 1
                pause(0.001)
            return answers

        wait_until(lambda: answers_in_one_look() > 10)  # who waited for a look would see one or two
        assert "no whole answer in time" in ring.discovery()["trouble"] or "timed out" in str(
            ring.discovery()
        )
        ring.close()

    run_as(kind, script)


@kinds
def test_a_ring_begun_without_its_endpoint_is_empty_until_it_is_there(
    kind: str, memcached: Memcached, endpoint: Endpoint
) -> None:
    endpoint.say = lambda: None

    def script() -> None:
        ring = make_ring(endpoint)
        assert ring.nodes() == []
        assert [ring.get("a"), ring.get_ex("a").state, ring.get_many(["a"])] == [None, "down", {}]
        assert [ring.set("a", 1), ring.set_many({"a": 1}), ring.flush_all()] == [False, ["a"], False]
        assert [ring.incr("a", 1), ring.delete("a"), ring.stats()] == [None, False, {}]
        assert ring.fetch("a", lambda: "built", ttl=9) == "built"
        endpoint.tell(memcached)
        wait_until(lambda: ring.set("a", 1))
        assert ring.get("a") == 1
        ring.close()

    run_as(kind, script)


@kinds
def test_an_old_engine_is_asked_for_its_key(kind: str, memcached: Memcached) -> None:
    endpoint = Endpoint(memcached, old=True)

    def script() -> None:
        ring = make_ring(endpoint)
        assert ring.set("a", 1)
        assert ports(ring) == {memcached.port}
        ring.close()

    run_as(kind, script)
    assert endpoint.heard == {b"config get cluster\r\n", b"get AmazonElastiCache:cluster\r\n"}
    endpoint.close()


@kinds
def test_of_several_endpoints_one_is_enough(kind: str, memcached: Memcached, endpoint: Endpoint) -> None:
    dead = Endpoint()
    dead.close()
    endpoint.tell(memcached)

    def script() -> None:
        ring = make_ring(dead, endpoint)
        assert ports(ring) == {memcached.port}
        assert ring.discovery()["trouble"] == ""
        ring.close()

    run_as(kind, script)


@kinds
def test_a_node_that_fails_lets_the_endpoint_be_asked_at_once(
    kind: str, memcached_cluster: Cluster, endpoint: Endpoint
) -> None:
    first, second = memcached_cluster(2)
    endpoint.tell(first)

    def script() -> None:
        ring = make_ring(endpoint, discover=3000)
        assert ring.set("a", 1)
        endpoint.tell(second)
        first.kill()
        wait_until(lambda: ring.set("a", 2))
        assert ports(ring) == {second.port}
        ring.close()

    run_as(kind, script)


def test_a_forked_child_watches_for_itself(memcached_cluster: Cluster, endpoint: Endpoint) -> None:
    servers = memcached_cluster(2)
    endpoint.tell(servers[0])
    ring = make_ring(endpoint)
    ring.set("a", 1)
    pid = os.fork()
    if not pid:
        deadline = time.monotonic() + 20
        while len(ring.nodes()) < 2 and time.monotonic() < deadline:
            ring.get("a")
            time.sleep(0.01)
        os._exit(0 if len(ring.nodes()) == 2 else 1)
    endpoint.tell(*servers)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    wait_until(lambda: len(ring.nodes()) == 2)
    ring.close()


def test_a_ring_that_is_closed_asks_no_more(memcached: Memcached, endpoint: Endpoint) -> None:
    endpoint.tell(memcached)
    ring = make_ring(endpoint)
    ring.set("a", 1)
    ring.close()
    name = "discovery"
    wait_until(lambda: name not in [thread.name for thread in threading.enumerate()])
    assert ring.get("a") == 1  # and begins anew when it is used again
    ring.get("new")
    asked = endpoint.asked
    wait_until(lambda: endpoint.asked > asked)
    ring.close()


def test_a_plain_memcached_knows_of_no_cluster(memcached: Memcached) -> None:
    ring = MemcacheRing([memcached.address], discover=60, **PATIENT)
    assert ring.discovery()["trouble"] == f"{memcached.address}: it knows of no cluster (ERROR, END)"
    assert ring.nodes() == []
    ring.close()


def test_nodes_that_are_told_are_not_changed_by_hand(memcached: Memcached, endpoint: Endpoint) -> None:
    endpoint.tell(memcached)
    ring = make_ring(endpoint)
    for change in (ring.add_node, ring.remove_node, lambda server: ring.set_weight(server, 2)):
        with pytest.raises(ConfigurationError, match=f"those that {endpoint.address} tells"):
            change("10.0.0.9")
    assert 0 < ring.plan_add("10.0.0.9").share < 1
    ring.close()


def test_a_ring_of_given_nodes_discovers_nothing(memcached: Memcached) -> None:
    ring = MemcacheRing([memcached.address], **PATIENT)
    assert ring.discovery() == {}
    ring.close()
    with pytest.raises(SettingError, match="discover: -1"):
        MemcacheRing(["a:1"], discover=-1)


def test_a_store_may_be_told_its_nodes_too(memcached: Memcached, endpoint: Endpoint) -> None:
    store = make_store(f"memcached://{endpoint.address}{PATIENT_URL}&discover=60s")
    with pytest.raises(StoreDown):
        store.get("a")
    store.close()
    endpoint.tell(memcached)
    store = make_store(f"memcached://{endpoint.address}{PATIENT_URL}&discover=60s")
    store.set("a", b"1", 60)
    assert store.get("a") == b"1"
    assert memcached.ask(b"get a").startswith(b"VALUE a")
    store.close()
