"""What limits tell of themselves: how many passed with little left, and how long decisions took."""

from __future__ import annotations

from bisect import bisect_left
from itertools import count
from typing import Any

import h11
import pytest

from tests.simulation.limited import LimitedWorld, make_limit
from tests.simulation.test_limits import EDGES, ask_wsgi, hello, make
from wsgistack.ratelimit.middleware import RateLimit
from wsgistack.ratelimit.rules import Rule
from wsgistack.ratelimit.statistics import BOUNDS_US, OUTCOMES, TIMES

ONE_RATE = [name for name, (settings, _, _) in EDGES.items() if ";" not in settings["rate"]]


def decisions(world: LimitedWorld, slot: int = 0) -> int:
    return sum(world.board.limit(slot)["decisions"]["within"])


def let_decisions_take(world: LimitedWorld, us: int) -> None:
    """Let the clock go on by so much whenever it is read."""
    reads = count(1)
    world.net.clock = lambda: (world.net.now + next(reads) * us / 1e6, world.net.now + 1.7e9)  # type: ignore[method-assign]


@pytest.mark.parametrize("name", ONE_RATE)
def test_both_edges_count_the_same_requests_as_near(name: str, worlds: list[LimitedWorld]) -> None:
    settings, options, script = EDGES[name]
    world = make(worlds, make_limit("api", **settings))
    rules = [Rule("api", settings["rate"], **options)]
    app = RateLimit(hello, rules=rules, now=lambda: world.now_us, meter=True)
    visitor = world.visitor()
    for pause_s, method, fields in script:
        world.run_for(pause_s)
        if visitor.h11.our_state is not h11.IDLE:
            visitor = world.visitor()
        ask_wsgi(app, method, fields)
        visitor.ask(*fields, method=method)
    assert app.meter is not None
    rows = [row.counts for row in app.meter.statistics.rows() if row.rule != TIMES and row.rule == "api"]
    wanted = {name: sum(counts[place] for counts in rows) for place, name in enumerate(OUTCOMES)}
    told = world.board.limit(0)
    if settings.get("key", "ip").startswith("header"):  # the WSGI edge counts each of two keys
        assert 0 < told["near"] <= wanted["near"]
        return
    assert (told["near"], told["allowed"]) == (wanted["near"], wanted["passed"] + wanted["near"])


def test_a_request_is_near_once_under_however_many_rates_it_is(worlds: list[LimitedWorld]) -> None:
    world = make(worlds, make_limit("api", rate="5/minute; 10/hour; 100/day"), workers=2)
    assert [world.ask(worker=number % 2).status for number in range(6)] == [200] * 5 + [429]
    world.run_for(60)
    assert world.statuses(6) == [200] * 5 + [429]
    told = world.board.limit(0)
    assert (told["allowed"], told["near"], told["refused"]) == (10, 2 + 3, 2)


@pytest.mark.parametrize("us", [0, 1, 2, 3, 7, 150_000])
def test_a_decision_is_counted_by_how_long_it_took(us: int, worlds: list[LimitedWorld]) -> None:
    world = make(worlds, make_limit("api", rate="2/minute"))
    let_decisions_take(world, us)
    assert world.statuses(3) == [200, 200, 429]
    times = world.board.limit(0)["decisions"]
    wanted = [0] * (len(BOUNDS_US) + 1)
    wanted[bisect_left(BOUNDS_US, us)] = 3
    if us:  # the virtual clock is a float: a thousandth of a microsecond is its own
        places = [place for place, count in enumerate(times["within"]) for _ in range(count)]
        assert len(places) == 3
        assert {bisect_left(BOUNDS_US, us), bisect_left(BOUNDS_US, us + 1)} >= set(places)
    else:
        assert times["within"] == wanted
    assert abs(times["ns"] - 3 * us * 1000) < 1000


def test_a_decision_counts_for_each_limit_that_had_a_say(worlds: list[LimitedWorld]) -> None:
    limits: list[Any] = [
        make_limit("api", rate="1/minute"),
        make_limit("dry", 1, rate="1/minute", dry_run="on"),
        make_limit("posts", 2, rate="1/minute", methods="POST"),
        make_limit("none", 3, rate="unlimited"),
    ]
    world = make(worlds, *limits, workers=2)
    assert [world.ask(worker=number % 2).status for number in range(4)] == [200, 429, 429, 429]
    assert [decisions(world, slot) for slot in range(4)] == [4, 4, 0, 0]


def test_who_could_not_be_counted_in_time_is_among_the_decisions(worlds: list[LimitedWorld]) -> None:
    world = make(worlds, make_limit("api", rate="1/minute", key="global"))
    table = world.board.limits
    assert table is not None
    table.hold(b"*")
    assert world.ask().status == 200
    table.release(b"*")
    told = world.board.limit(0)
    assert (told["trouble"], told["allowed"], decisions(world)) == (1, 0, 1)


def test_a_row_that_is_given_to_another_limit_begins_anew(worlds: list[LimitedWorld]) -> None:
    world = make(worlds, make_limit("api", rate="1/minute"))
    world.ask()
    assert (world.board.limit(0)["near"], decisions(world)) == (1, 1)
    world.board.reset_limit(0)
    told = world.board.limit(0)
    assert (told["near"], decisions(world), told["decisions"]["ns"]) == (0, 0, 0)
