"""Limits of concurrency in the data plane: a request holds its place exactly as long as it runs."""

from __future__ import annotations

from typing import Any

from tests.simulation.limited import LimitedWorld, Visitor, make_limit
from wsgistack.balancer.ledger import BoardLedger

THINKS_S = 5.0
EVERYBODY = b"*"


def make(worlds: list[LimitedWorld], rate: str = "2 concurrent", workers: int = 1, **settings: Any) -> Any:
    world = LimitedWorld(make_limit("api", key="global", rate=rate, **settings), workers=workers)
    world.nodes[0].thinks_s = (THINKS_S,)
    worlds.append(world)
    return world


def begin(world: LimitedWorld, worker: int = 0) -> Visitor:
    """Return a visitor whose request runs."""
    visitor = world.visitor(worker)
    visitor.send()
    world.run_for(0.1)
    return visitor


def held(world: LimitedWorld) -> int:
    step = world.limits["api"].steps[1]
    return BoardLedger(world.board).held(EVERYBODY, step.id)


def test_who_finds_all_places_held_is_refused_until_one_is_given_back(worlds: list[LimitedWorld]) -> None:
    world = make(worlds)
    first, second = begin(world), begin(world)
    refused = world.ask()
    assert (refused.status, refused.fields["retry-after"]) == (503, "1")
    assert refused.fields["ratelimit-policy"] == '"api";q=2;qu="concurrent-requests"'
    assert first.read().status == second.read().status == 200
    assert held(world) == 0
    assert world.ask().status == 200


def test_a_client_that_goes_away_holds_nothing_any_more(worlds: list[LimitedWorld]) -> None:
    world = make(worlds)
    first, second = begin(world), begin(world)
    assert held(world) == 2
    world.net.shut(first.end, reset=True)
    world.run_for(0.1)
    assert held(world) == 1
    world.net.shut(second.end, reset=True)
    world.run_for(0.1)
    assert held(world) == 0


def test_workers_count_what_all_of_them_hold(worlds: list[LimitedWorld]) -> None:
    world = make(worlds, workers=3)
    running = [begin(world, worker) for worker in (0, 1)]
    assert world.ask(worker=2).status == 503
    assert [visitor.read().status for visitor in running] == [200, 200]
    assert world.ask(worker=2).status == 200


def test_what_a_dead_worker_held_is_free_and_what_others_hold_is_not(worlds: list[LimitedWorld]) -> None:
    world = make(worlds, rate="3 concurrent", workers=2)
    begin(world, 0), begin(world, 0), begin(world, 1)
    assert world.ask(worker=1).status == 503
    world.crash(0)
    assert held(world) == 1
    begin(world, 0), begin(world, 1)
    assert world.ask(worker=0).status == 503


def test_a_request_that_another_rate_refuses_holds_no_place(worlds: list[LimitedWorld]) -> None:
    world = make(worlds, rate="2 concurrent; 1/hour exact")
    assert begin(world).read().status == 200
    assert world.ask().status == 429
    assert held(world) == 0


def test_a_limit_that_only_watches_counts_who_runs(worlds: list[LimitedWorld]) -> None:
    world = make(worlds, rate="1 concurrent", dry_run="on")
    running = [begin(world), begin(world)]
    assert held(world) == 1
    assert BoardLedger(world.board).counts(0)["watched"] == 1
    assert [visitor.read().status for visitor in running] == [200, 200]
    assert held(world) == 0


def test_a_limit_that_was_changed_in_between_gets_its_places_back(worlds: list[LimitedWorld]) -> None:
    world = make(worlds)
    running = begin(world)
    before = world.limits["api"]
    world.put(make_limit("api", key="global", rate="5 concurrent"))
    assert running.read().status == 200
    assert BoardLedger(world.board).held(EVERYBODY, before.steps[1].id) == 0
