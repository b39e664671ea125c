"""Perlbal's Throttle in the data plane: who is held, for how long, and that nobody is forgotten."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulation.limited import LimitedWorld, Visitor, make_limit
from wsgistack.balancer.limit import Limit


@pytest.fixture
def make(worlds: list[LimitedWorld]) -> Any:
    def make(*limits: Limit, workers: int = 1, **settings: Any) -> LimitedWorld:
        world = LimitedWorld(*limits, workers=workers, **{"plugins": "throttle", **settings})
        worlds.append(world)
        return world

    return make


def begin(world: LimitedWorld, worker: int = 0, **more: Any) -> Visitor:
    visitor = world.visitor(worker)
    visitor.send(**more)
    world.run_for(0.1)
    return visitor


def held(world: LimitedWorld) -> int:
    found: int = world.board.service(0)["held"]
    return found


def test_who_comes_too_soon_is_held_and_served_when_his_time_is_over(make: Any) -> None:
    world = make()
    assert world.ask().status == 200
    at = world.net.now
    visitor = begin(world)
    assert (held(world), world.executed) == (1, 1)
    assert visitor.read().status == 200
    assert 3.0 <= world.net.now - at < 3.3
    assert (held(world), world.executed, world.board.service(0)["throttled"]) == (0, 2, 1)


def test_each_further_one_waits_twice_as_long_in_any_worker(make: Any) -> None:
    world = make(workers=2)
    world.ask()
    first, second = begin(world, 0), begin(world, 1)
    at = world.net.now
    assert first.read().status == 200
    assert 2.7 <= world.net.now - at < 3.2
    assert second.read().status == 200
    assert 5.7 <= world.net.now - at < 6.2


def test_more_than_may_wait_are_refused_and_that_is_no_violation(make: Any) -> None:
    world = make(workers=2)
    world.ask()
    waiting = [begin(world, 0), begin(world, 1)]
    refused = world.ask(worker=1)
    assert (refused.status, refused.fields["retry-after"]) == (503, "1")
    assert world.board.service(0)["crowded"] == 1
    assert [visitor.read().status for visitor in waiting] == [200, 200]


def test_who_is_held_and_leaves_makes_room_at_once(make: Any) -> None:
    world = make()
    world.ask()
    for visitor in (begin(world), begin(world)):
        world.net.shut(visitor.end, reset=True)
    world.run_for(0.1)
    assert held(world) == 0
    begin(world)
    assert held(world) == 1


def test_who_says_only_that_he_sends_no_more_leaves_too(make: Any) -> None:
    world = make()
    world.ask()
    visitor = begin(world)
    world.net.shut(visitor.end)
    world.run_for(0.1)
    assert held(world) == 0


def test_who_violates_too_often_is_banned_for_a_time(make: Any) -> None:
    world = make(ban_threshold=2, initial_delay=1)
    world.ask()
    waiting = begin(world)
    banned = world.ask()
    assert (banned.status, banned.fields["retry-after"]) == (403, "60")
    assert world.ask().status == 403
    assert waiting.read().status == 200
    world.run_for(60)
    assert world.ask().status == 200
    assert world.board.service(0)["shut_out"] == 2


def test_a_whole_service_holds_no_more_than_its_queue(make: Any) -> None:
    world = make(max_concurrent=9, queue_size=2)
    world.ask()
    begin(world), begin(world)
    assert world.ask().status == 503


def test_a_reload_that_switches_it_off_lets_go_who_is_held(make: Any) -> None:
    world = make()
    world.ask()
    visitor = begin(world)
    world.settings["plugins"] = "none"
    world.apply(range(1))
    at = world.net.now
    assert visitor.read().status == 200
    assert world.net.now - at < 0.5


def test_a_reload_that_keeps_it_lets_them_wait(make: Any) -> None:
    world = make()
    world.ask()
    visitor = begin(world)
    at = world.net.now
    world.apply(range(1))
    assert visitor.read().status == 200
    assert 2.5 <= world.net.now - at < 3.3


def test_who_is_held_when_the_balancer_drains_goes_on_at_once(make: Any) -> None:
    world = make()
    world.ask()
    visitor = begin(world)
    world.net.running = 0
    world.planes[0].drain()
    at = world.net.now
    assert visitor.read().status == 200
    assert world.net.now - at < 0.5


def test_a_body_that_comes_while_its_request_is_held_is_kept(make: Any) -> None:
    world = make()
    world.ask()
    visitor = begin(world, method="POST", body=b"x" * 5000)
    assert visitor.read().status == 200
    assert world.executed == 2


def test_what_a_dead_worker_held_is_free(make: Any) -> None:
    world = make(workers=2)
    world.ask(worker=1)
    begin(world, 0), begin(world, 0)
    world.crash(0)
    begin(world, 1)
    assert held(world) == 1


def test_log_only_holds_nobody_and_counts_all(make: Any) -> None:
    world = make(log_only=True, ban_threshold=3)
    assert world.statuses(5) == [200] * 5
    counts = world.board.service(0)
    assert (counts["throttled"], counts["shut_out"], counts["held"]) == (2, 2, 0)


@pytest.mark.parametrize(
    ("rules", "requests", "throttled"),
    [
        ({"path_regex": "^/webapp/"}, [{"target": "/webapp/a"}, {"target": "/other"}], 0),
        ({"path_regex": "^/webapp/"}, [{"target": "/webapp/a"}, {"target": "//%77ebapp/b?c"}], 1),
        ({"path_regex": r"\.php$"}, [{"target": "/a.php"}, {"target": "/" + "b" * 300 + ".php"}], 1),
        ({"method_regex": "^GET$"}, [{"method": "GET"}, {"method": "HEAD"}], 0),
        ({"method_regex": "^(GET|HEAD)$"}, [{"method": "GET"}, {"method": "HEAD"}], 1),
    ],
)
def test_it_is_about_what_its_patterns_fit(
    make: Any, rules: dict[str, Any], requests: list[dict[str, Any]], throttled: int
) -> None:
    world = make(log_only=True, **rules)
    for request in requests:
        assert world.ask(**request).status == 200
    assert world.board.service(0)["throttled"] == throttled


def test_what_happens_is_logged_as_far_as_log_events_says(make: Any) -> None:
    world = make(log_events="ban, banned", ban_threshold=2)
    world.ask()
    begin(world)
    world.ask(), world.ask()
    assert [one["event"] for one in world.events if one["event"].startswith("throttle")] == [
        "throttle_ban",
        "throttle_banned",
    ]


def test_a_request_that_a_limit_refuses_is_not_held(make: Any) -> None:
    world = make(make_limit("api", rate="1/hour"))
    assert [world.ask().status, world.ask().status] == [200, 429]
    assert held(world) == 0
