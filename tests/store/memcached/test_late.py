"""What is written while the ring changes arrives where nobody looks for it any more: it is removed from there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from wsgistack.store.memcached import requests
from wsgistack.store.memcached.addresses import parse_servers
from wsgistack.store.memcached.calls import Call
from wsgistack.store.memcached.cluster import Cluster, Target, _member
from wsgistack.store.memcached.nodes import Node
from wsgistack.store.memcached.operations import Operations
from wsgistack.store.memcached.replies import Reply
from wsgistack.store.ring import build


class Meanwhile:
    """The lane of a cluster of which every call arrives late: behind what *act* does."""

    def __init__(self, act: Callable[[], None]) -> None:
        self._act = act

    def current(self) -> Meanwhile:
        return self

    def all(self) -> list[Any]:
        return []

    def run(self, pairs: Sequence[tuple[Node, Call]]) -> None:
        self._act()
        for _, call in pairs:
            call.finish([Reply(b"HD")] * call.count, None)

    def run_one(self, node: Node, call: Call) -> None:
        self.run([(node, call)])


def leave(cluster: Cluster, node: Node) -> None:
    """Let *node* leave the ring at once; what is owed to it by then has been removed when it joins again."""
    rest = [one.address for one in cluster.nodes() if one is not node]
    live: Any = cluster._live
    live.ring = build(live.ring.layout, [_member(address) for address in rest])
    cluster._use(live.ring, rest)
    node.journal.settle(node.journal.take(100))


@pytest.fixture(params=["gutter", "rehash"])
def cluster(request: pytest.FixtureRequest) -> Cluster:
    """A cluster of three nodes that nobody brings back and nobody tidies."""
    made = Cluster(
        parse_servers("10.0.0.1,10.0.0.2,10.0.0.3"),
        layout="ketama",
        on_down=request.param,
        timeout_s=1,
        least_timeout_s=1,
        connect_timeout_s=1,
    )
    made.prober = SimpleNamespace(start=lambda node: None, tidy=lambda node: None)  # type: ignore[assignment]
    return made


@pytest.mark.parametrize("count", [1, 2])
def test_what_a_stand_in_took_late_is_removed_from_it_if_it_left_the_ring_meanwhile(
    count: int, cluster: Cluster
) -> None:
    """One key alone, and beside one that goes to its own node."""
    first, second, third = cluster.nodes()
    keys = [b"key:%d" % number for number in range(1000)]
    key = next(key for key in keys if cluster.snapshot.ring.places(key)[:2] == [0, 1])
    other = next(key for key in keys if cluster.snapshot.owner(key) is third)
    first.broke("lost", ())
    assert cluster.find_writers(key) == [Target(second, True, first, first.returns)]
    cluster.lanes = Meanwhile(partial(leave, cluster, second))  # type: ignore[assignment]
    written = [key, other][:count]
    do = Operations(cluster, gutter_ttl=10)
    items = [(one, b"late", 0) for one in written]
    do.write_many(written, lambda numbers, ttl: requests.store_many([items[n] for n in numbers], ttl))
    assert second.journal.take(100).keys == [key]
