"""Shedding load in the data plane: who goes first, who goes last, and when a place is free again."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from tests.simulation.limited import LimitedWorld, Visitor, make_limit
from wsgistack.balancer.ledger import BoardLedger
from wsgistack.balancer.shedding import find_level

THINKS_S = 5.0
MARKS = {
    "critical": "/pay/* header:x-priority=critical",
    "sheddable": "header:x-priority=batch* /export *.zip",
}
PAYING: dict[str, Any] = {"target": "/pay/now"}
BATCH = ("X-Priority", "batch-7")


def make(worlds: list[LimitedWorld], workers: int = 1, **settings: str) -> LimitedWorld:
    given: dict[str, Any] = {"key": "service", "rate": "10 concurrent", **MARKS, **settings}
    world = LimitedWorld(make_limit("load", **given), workers=workers)
    world.nodes[0].thinks_s = (THINKS_S,)
    worlds.append(world)
    return world


def begin(
    world: LimitedWorld, count: int, *fields: tuple[str, str], worker: int = 0, **more: Any
) -> list[Visitor]:
    """Return visitors whose requests run."""
    visitors = [world.visitor(worker) for _ in range(count)]
    for visitor in visitors:
        visitor.send(*fields, **more)
    world.run_for(0.1)
    return visitors


def by_level(world: LimitedWorld) -> dict[str, tuple[int, int]]:
    """Return how many requests of each level passed and were refused."""
    counts = BoardLedger(world.board).counts(0)
    return {level: (counts["served"][level], counts["shed"][level]) for level in counts["served"]}


def test_sheddable_requests_are_refused_first_and_critical_ones_last(worlds: list[LimitedWorld]) -> None:
    world = make(worlds, workers=2)
    running = begin(world, 5, BATCH)
    refused = world.ask(BATCH, worker=1)
    assert (refused.status, refused.fields["retry-after"]) == (503, "1")
    running += begin(world, 3, worker=1)
    assert world.ask().status == 503
    running += begin(world, 2, **PAYING)
    assert world.ask(worker=1, **PAYING).status == 503
    assert by_level(world) == {"sheddable": (5, 1), "normal": (3, 1), "critical": (2, 1)}
    assert [visitor.read().status for visitor in running] == [200] * 10
    assert world.ask(BATCH).status == 200


def test_what_matters_more_leaves_less_for_what_matters_less(worlds: list[LimitedWorld]) -> None:
    world = make(worlds)
    begin(world, 9, **PAYING)
    assert begin(world, 1, BATCH)[0]
    assert world.ask(BATCH).status == world.ask().status == 503


def test_the_shares_can_be_others(worlds: list[LimitedWorld]) -> None:
    world = make(worlds, shares="0.3 0.1")
    begin(world, 1, BATCH)
    begin(world, 2)
    assert [world.ask(BATCH).status, world.ask().status] == [503, 503]
    assert world.statuses(1, **PAYING) == [200]


def test_who_goes_away_frees_the_places_of_all_levels(worlds: list[LimitedWorld]) -> None:
    world = make(worlds, rate="2 concurrent", shares="1 1")
    for visitor in begin(world, 2, BATCH):
        world.net.shut(visitor.end, reset=True)
    world.run_for(0.1)
    assert [one.read().status for one in begin(world, 2, **PAYING)] == [200, 200]


def test_clients_do_not_read_how_busy_the_service_is(worlds: list[LimitedWorld]) -> None:
    world = make(worlds, rate="1 concurrent")
    running = begin(world, 1, **PAYING)
    for answer in (world.ask(), running[0].read()):
        assert not [name for name in answer.fields if name.startswith("ratelimit")]


def test_without_marks_all_have_the_same_places(worlds: list[LimitedWorld]) -> None:
    world = make(worlds, rate="3 concurrent", critical="none", sheddable="none")
    begin(world, 3, BATCH)
    assert world.ask(**PAYING).status == 503
    assert by_level(world)["critical"] == (0, 0)


@pytest.mark.parametrize(
    ("target", "fields", "level"),
    [
        ("/", [], "normal"),
        ("/pay/now", [], "critical"),
        ("//pay/./now?x=/export", [], "critical"),
        ("/%70ay/now", [BATCH], "critical"),
        ("/pay", [], "normal"),
        ("/export", [], "sheddable"),
        ("/a/b.zip", [], "sheddable"),
        ("/", [("X-Priority", "critical")], "critical"),
        ("/", [("x-priority", "high"), ("X-PRIORITY", "batch")], "sheddable"),
        ("/", [("X-Priority", "CRITICAL")], "normal"),
        ("/", [("X-Priority-2", "batch")], "normal"),
    ],
)  # fmt: skip
def test_workers_and_explain_find_the_same_level(
    worlds: list[LimitedWorld], target: str, fields: list[tuple[str, str]], level: str
) -> None:
    world = make(worlds)
    world.nodes[0].thinks_s = (0.0,)
    assert world.ask(*fields, target=target).status == 200
    assert [name for name, (served, _) in by_level(world).items() if served] == [level]
    lines = {
        name.lower(): [value for one, value in fields if one.lower() == name.lower()] for name, _ in fields
    }
    assert find_level(world.limits["load"].settings, target, None, lines.get) == level


@pytest.mark.parametrize(
    ("networks", "level"),
    [
        ("192.0.2.8/30", "critical"),
        ("10.0.0.0/8 2001:db8::/32", "normal"),
        ("0.0.0.0/0", "critical"),
        ("::/0", "normal"),
        ("::ffff:192.0.2.0/120", "critical"),
    ],
)
def test_a_network_marks_whoever_asks_from_there(
    worlds: list[LimitedWorld], networks: str, level: str
) -> None:
    world = make(worlds, critical=networks)
    world.nodes[0].thinks_s = (0.0,)
    assert world.ask().status == 200
    assert [name for name, (served, _) in by_level(world).items() if served] == [level]
    address = ipaddress.ip_address("192.0.2.9")
    assert find_level(world.limits["load"].settings, "/", address, lambda name: None) == level
