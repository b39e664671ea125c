"""Who is asked and who is written to while a node is away, and while it returns; nothing is connected."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from wsgistack.errors import ConfigurationError
from wsgistack.store.memcached.addresses import Address, parse_servers
from wsgistack.store.memcached.cluster import Cluster, Target
from wsgistack.store.memcached.nodes import Node
from wsgistack.store.ring import LiveRing, Member, Ring, build

KEY = b"key"


@pytest.fixture(params=["gutter", "rehash", "miss"])
def stage(request: pytest.FixtureRequest) -> tuple[Cluster, Node, Node]:
    """A cluster of two nodes that nobody brings back: itself, the owner of KEY, and the other one."""
    cluster = Cluster(
        parse_servers("127.0.0.1:1,127.0.0.1:2"),
        layout="ketama",
        on_down=request.param,
        timeout_s=1,
        least_timeout_s=1,
        connect_timeout_s=1,
    )
    cluster.prober.start = lambda node: None  # type: ignore[method-assign]  # on purpose
    owner = cluster.snapshot.owner(KEY)
    (other,) = set(cluster.nodes()) - {owner}
    return cluster, owner, other


def test_a_node_that_is_up_is_read_and_written(stage: tuple[Cluster, Node, Node]) -> None:
    cluster, owner, _ = stage
    assert cluster.find_reader(KEY) is owner
    assert cluster.find_writers(KEY, builds=True) == [Target(owner, False)]
    assert owner.journal.is_clean


def test_what_goes_past_a_node_that_is_away_is_noted_there(stage: tuple[Cluster, Node, Node]) -> None:
    cluster, owner, other = stage
    owner.broke("lost", ())
    stands_in = cluster.policy != "miss"
    assert cluster.find_reader(KEY) is (other if stands_in else None)
    assert cluster.find_writers(KEY) == ([Target(other, True, owner)] if stands_in else [])
    assert owner.journal.take(9).keys == [KEY]
    assert owner.journal.list_copies() == ([(KEY, other.name)] if stands_in else [])


def test_while_a_node_returns_nobody_reads_and_only_whole_values_are_written(
    stage: tuple[Cluster, Node, Node],
) -> None:
    """Whoever stood in is behind the node from here on, and what builds on a value may build on a dirty one."""
    cluster, owner, _ = stage
    owner.broke("lost", ())
    owner.begin_return()
    assert cluster.find_reader(KEY) is None
    assert cluster.find_writers(KEY) == [Target(owner, False)]
    assert owner.journal.is_clean
    assert cluster.find_writers(KEY, builds=True) == []
    assert owner.journal.take(9).keys == [KEY]


class Held:
    """Stands for a LiveRing whose rings are made when a test says so, and used when it says so."""

    def __init__(self, live: LiveRing) -> None:
        self.ring = live.ring
        self._made: list[tuple[Ring, Callable[[Ring], None]]] = []

    def change(self, members: Iterable[Member], *, done: Callable[[Ring], None]) -> None:
        self._made.append((build("ketama", members), done))

    def become(self, number: int) -> None:
        self.ring = self._made[number][0]

    def use(self, number: int) -> None:
        ring, done = self._made[number]
        done(ring)


@pytest.fixture
def changed() -> tuple[Cluster, Held]:
    """A cluster of nodes 1 and 2 that was asked for 1, 2, 3 and at once for 1, 2, 4; nothing is made yet."""
    cluster = Cluster(
        parse_servers("127.0.0.1:1,127.0.0.1:2"),
        layout="ketama",
        on_down="gutter",
        timeout_s=1,
        least_timeout_s=1,
        connect_timeout_s=1,
    )
    held = Held(cluster._live)
    cluster._live = held  # type: ignore[assignment]  # on purpose
    cluster.change(parse_servers("127.0.0.1:1,127.0.0.1:2,127.0.0.1:3"))
    cluster.change(parse_servers("127.0.0.1:1,127.0.0.1:2,127.0.0.1:4"))
    return cluster, held


def ports_of(cluster: Cluster) -> list[int]:
    return [node.address.port for node in cluster.nodes()]


def test_a_change_that_is_asked_for_while_another_is_used_loses_nothing(
    changed: tuple[Cluster, Held],
) -> None:
    cluster, held = changed
    kept = cluster.nodes()
    held.become(0)
    held.use(0)
    assert ports_of(cluster) == [1, 2, 3]
    held.become(1)
    held.use(1)
    assert ports_of(cluster) == [1, 2, 4]
    assert cluster.nodes()[:2] == kept
    assert cluster.find("127.0.0.1:4") is cluster.nodes()[2]
    assert cluster.find("127.0.0.1:3") is None


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_a_change_that_comes_late_is_not_used(order: list[int], changed: tuple[Cluster, Held]) -> None:
    cluster, held = changed
    held.become(0)
    held.become(1)
    for number in order:
        held.use(number)
    assert ports_of(cluster) == [1, 2, 4]
    assert cluster.snapshot.ring is held.ring


def test_a_change_that_cannot_be_meant_changes_no_weight() -> None:
    cluster = Cluster(
        parse_servers("127.0.0.1:1"),
        layout="ketama",
        on_down="gutter",
        timeout_s=1,
        least_timeout_s=1,
        connect_timeout_s=1,
    )
    with pytest.raises(ConfigurationError, match="weight 1001"):
        cluster.change([Address("127.0.0.1", 1, 1001)])
    assert [node.weight for node in cluster.nodes()] == [1]
