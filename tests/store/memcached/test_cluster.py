"""Who is asked and who is written to while a node is away, and while it returns; nothing is connected."""

from __future__ import annotations

import pytest

from wsgistack.store.memcached.addresses import parse_servers
from wsgistack.store.memcached.cluster import Cluster, Target
from wsgistack.store.memcached.nodes import Node

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
    assert cluster.find_writers(KEY) == ([Target(other, True)] if stands_in else [])
    assert owner.journal.take(9) == [KEY]
    assert owner.journal.take_copies(9) == ([(KEY, other.name)] if stands_in else [])


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
    assert owner.journal.take(9) == [KEY]
