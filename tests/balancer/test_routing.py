"""Who would get a request, told as the plane decides it."""

from dataclasses import replace
from typing import Any

import pytest

from wsgistack.balancer.model import Node, Pool, Snapshot
from wsgistack.balancer.outside import Outcomes
from wsgistack.balancer.pool_settings import POOL_SETTINGS
from wsgistack.balancer.routing import Ranked, Row, rank_nodes

HELD = Outcomes(held=True)


def make_snapshot(*nodes: dict[str, Any], **settings: Any) -> Snapshot:
    made = tuple(
        replace(Node(f"n{i}", slot=i, weight=1, up=True, connect=f"10.0.0.{i}:80"), **node)
        for i, node in enumerate(nodes)
    )
    pool = Pool("mypool", 0, POOL_SETTINGS.defaults() | settings, made)
    return Snapshot(1, {}, {"mypool": pool}, {})


def rank(snapshot: Snapshot, rows: dict[int, Row] | None = None, **more: Any) -> list[tuple[str, Any, str]]:
    found = rank_nodes(snapshot, "mypool", rows or {}, **({"now": 1000.0, "clock": 50.0} | more))
    assert all(isinstance(one, Ranked) for one in found)
    return [(one.node.address, one.score, one.why) for one in found]


@pytest.mark.parametrize(
    ("node", "row", "why"),
    [
        ({"up": False}, Row(), "down"),
        ({"connect": None}, Row(), "address unknown"),
        ({"draining": True}, Row(), "drains"),
        ({"backup": True}, Row(), "backup, not needed"),
        ({"max_connections": 5}, Row(in_flight=5), "full: 5 of 5 requests"),
        ({}, Row(outcomes=HELD), "on hold"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_node_that_is_no_candidate_says_why(node: dict[str, Any], row: Row, why: str) -> None:
    snapshot = make_snapshot(node, {})
    assert rank(snapshot, {0: row}) == [("n1", 0.0, "candidate"), ("n0", None, why)]


def test_a_node_that_failed_this_request_is_not_asked_again() -> None:
    assert rank(make_snapshot({}, {}), tried=["n0"]) == [("n1", 0.0, "candidate"), ("n0", None, "tried")]


def test_backups_serve_when_no_other_node_can_be_used() -> None:
    snapshot = make_snapshot({"up": False}, {"backup": True}, {"backup": True, "up": False})
    assert rank(snapshot) == [("n1", 0.0, "backup"), ("n0", None, "down"), ("n2", None, "down")]


def test_a_full_pool_is_waited_for_although_there_is_a_backup() -> None:
    snapshot = make_snapshot({"max_connections": 1}, {"backup": True})
    assert rank(snapshot, {0: Row(in_flight=1)}) == [
        ("n0", None, "full: 1 of 1 requests"),
        ("n1", None, "backup, not needed"),
    ]


def test_a_node_on_hold_serves_when_nobody_else_is_left() -> None:
    snapshot = make_snapshot({}, {"up": False})
    assert rank(snapshot, {0: Row(outcomes=HELD)}) == [
        ("n0", 0.0, "on hold, but nobody else is left"),
        ("n1", None, "down"),
    ]


def test_a_session_goes_to_its_node_even_if_that_drains() -> None:
    snapshot = make_snapshot({}, {"draining": True})
    assert rank(snapshot, sticks_to="n1") == [
        ("n1", 0.0, "the session sticks to it"),
        ("n0", 0.0, "candidate"),
    ]


def test_a_session_of_a_dead_node_goes_elsewhere() -> None:
    snapshot = make_snapshot({}, {"up": False})
    assert rank(snapshot, sticks_to="n1")[0] == ("n0", 0.0, "candidate")


def test_the_scores_are_the_algorithms() -> None:
    rows = {0: Row(4, Outcomes(latency_us=1000)), 1: Row(1, Outcomes(latency_us=2000))}
    nodes: list[dict[str, Any]] = [{}, {"weight": 2}]
    for method, expected in {
        "two_choices": [("n1", 0.5), ("n0", 4.0)],
        "least": [("n1", 1.0), ("n0", 5.0)],
        "peak_ewma": [("n1", 2000.0), ("n0", 5000.0)],
        "round_robin": [("n1", 1.5), ("n0", 3.0)],
        "random": [("n1", 1.5), ("n0", 3.0)],
        "first": [("n0", 0.0), ("n1", 1.0)],
    }.items():
        found = rank(make_snapshot(*nodes, balance_method=method), rows)
        assert [(name, score) for name, score, _ in found] == expected


def test_consistent_ranks_by_the_way_round_the_ring() -> None:
    snapshot = make_snapshot({}, {}, {}, balance_method="consistent")
    order = [name for name, _, _ in rank(snapshot, key=12345)]
    assert sorted(order) == ["n0", "n1", "n2"]
    assert [score for _, score, _ in rank(snapshot, key=12345)] == [0.0, 1.0, 2.0]
    without = rank(snapshot, key=12345, tried=[order[0]])
    assert [name for name, _, _ in without] == [order[1], order[2], order[0]]


def test_a_node_that_warms_up_weighs_less() -> None:
    snapshot = make_snapshot({"warm_from": 995.0}, {}, balance_method="least", slow_start=10.0)
    assert [(name, score) for name, score, _ in rank(snapshot)] == [("n1", 1 / 256), ("n0", 1 / 128)]
