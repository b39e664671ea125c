"""The hop: what needs a decision goes to the keeper of the page cache and back, and past it when it is gone."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.simulation.cached import CachedWorld, SimKeeper, make, make_cache
from tests.simulation.seeds import make_seeds
from tests.simulation.test_whole_balancer import IDEMPOTENT, check_nothing_left
from tests.simulation.world import World
from wsgistack.balancer.service_settings import SERVICE_SETTINGS

SEEDS = make_seeds(5)
HIT, HOP, FALLBACK = "hits", "hops", "fallbacks"


def heads(keeper: SimKeeper) -> list[list[str]]:
    """Return the heads that came to a keeper, line by line."""
    return [head.split("\r\n") for head in keeper.came.decode().split("\r\n\r\n") if head]


def test_the_keeper_gets_what_the_client_said_and_the_node_what_it_would_have_got(
    worlds: list[CachedWorld],
) -> None:
    world = make(worlds, sticky="cookie")
    got: list[tuple[str, str]] = []
    world.nodes[0].look = lambda request: got.extend((n.decode(), v.decode()) for n, v in request.headers)
    services: Any = world.snapshot["services"]
    services["mysite"] |= {"insert": [["X-In", "1"]], "remove": ["x-out", "x-forwarded-for"]}
    world.plane.apply(world.snapshot)
    world.ask(("X-Out", "1"), ("X-Forwarded-For", "203.0.113.1"), target="/a?b")
    (head,) = heads(world.keeper)
    assert head[0] == "GET /a?b HTTP/1.1"
    assert head[1] == "Host: a"
    assert "X-Out: 1" in head
    assert "X-In: 1" not in head
    assert [line for line in head if line.startswith("X-Forwarded-For")] == ["X-Forwarded-For: 192.0.2.9"]
    fields = [(name, value) for name, value in got if name not in ("host", "x-id")]
    assert sorted(fields) == [
        ("forwarded", "for=192.0.2.9;host=a;proto=http"),
        ("via", "1.1 wsgistack"),
        ("x-forwarded-for", "192.0.2.9"),
        ("x-forwarded-host", "a"),
        ("x-forwarded-proto", "http"),
        ("x-in", "1"),
    ]


def test_a_request_id_is_made_once(worlds: list[CachedWorld]) -> None:
    world = make(worlds, request_id="make")
    got: list[str] = []
    world.nodes[0].look = lambda request: got.extend(
        v.decode() for n, v in request.headers if n == b"x-request-id"
    )
    world.ask()
    (head,) = heads(world.keeper)
    assert [f"X-Request-Id: {value}" for value in got] == [
        line for line in head if line.startswith("X-Request-Id")
    ]
    assert len(got) == 1


def test_a_request_is_counted_once_and_the_keepers_idle_connections_are_nobodys(
    worlds: list[CachedWorld],
) -> None:
    world = make(worlds)
    world.ask()
    told = world.board.service(0)
    assert (told["requests"], told["accepted"], told["responses"][2], world.executed) == (1, 1, 1, 1)
    assert told["bytes_in"] < 100
    assert world.plane.clients() == 1  # who drains does not wait for the keeper


def test_behind_the_hop_the_client_is_still_who_it_was(worlds: list[CachedWorld]) -> None:
    world = make(worlds)
    world.apply([])
    assert world.ask().status == 503
    assert [(event["event"], event["client"].partition(":")[0]) for event in world.events] == [
        ("refused", "192.0.2.9")
    ]


def test_the_balancers_own_answers_behind_the_hop_say_so(worlds: list[CachedWorld]) -> None:
    world = make(worlds)
    world.apply([], down=())
    assert world.ask().fields["wsgistack-own"] == "no_node"  # a keeper would take it off
    assert "wsgistack-own" not in world.ask(("Cookie", "sessionid=1")).fields


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
def test_a_keeper_that_is_not_there_is_passed_by_at_once(method: str, worlds: list[CachedWorld]) -> None:
    world = make(worlds, retry_on="none", retry_limit=0)
    world.keeper.alive = False
    answer = world.ask(method=method, body=b"x" * 100 if method == "POST" else b"")
    assert answer.status == 200
    assert answer.fields["cache-status"] == "wsgistack; fwd=bypass; detail=keeper"
    assert world.executed == 1
    assert world.ask(method=method).status == 200
    assert world.counted == {FALLBACK: 2, HOP: 1}
    assert [event["event"] for event in world.events] == ["node_failed"]  # told once


def test_a_keeper_that_is_back_is_asked_again(worlds: list[CachedWorld]) -> None:
    world = make(worlds)
    world.keeper.alive = False
    world.ask()
    world.keeper.alive = True
    world.run_for(1.1)
    world.ask()
    assert world.keeper.connections == 1


def test_a_keeper_that_dies_with_a_post_in_its_hands_is_a_bad_gateway(worlds: list[CachedWorld]) -> None:
    world = make(worlds)
    world.keeper.swallows = True
    world.net.later(0.5, partial(world.keeper.die, 100.0))
    assert world.ask(method="POST", body=b"x").status == 502
    assert world.executed == 0


def test_a_keeper_that_dies_with_a_get_in_its_hands_is_passed_by(worlds: list[CachedWorld]) -> None:
    world = make(worlds, retry_on="none", retry_limit=0)
    world.keeper.swallows = True
    world.net.later(0.5, partial(world.keeper.die, 100.0))
    answer = world.ask()
    assert (answer.status, world.executed) == (200, 1)
    assert answer.fields["cache-status"] == "wsgistack; fwd=bypass; detail=keeper"


def test_a_keeper_that_says_nothing_costs_the_time_that_a_node_has_and_some_more(
    worlds: list[CachedWorld],
) -> None:
    world = make(worlds, node_first_byte_timeout=1.0, queue_timeout=2.0)
    world.keeper.swallows = True
    before = world.net.now
    answer = world.ask()
    assert (answer.status, world.executed, world.counted) == (200, 1, {HOP: 1, FALLBACK: 1})
    assert 8.0 <= world.net.now - before < 8.5
    assert world.ask(method="POST").status == 200  # it is left alone for a while


def test_without_room_for_ready_pages_the_keeper_is_asked(worlds: list[CachedWorld]) -> None:
    world = make(worlds, ready_bytes=0)
    assert world.board.ready is None
    assert world.ask().status == 200
    assert world.counted == {HOP: 1}


def test_a_service_that_loses_its_cache_in_the_middle_answers(worlds: list[CachedWorld]) -> None:
    world = make(worlds)
    world.keep()

    def lose() -> None:
        world.cache = None
        world.apply(range(1))

    world.net.later(0.0001, lose)
    assert world.ask(target="/other").status == 200
    assert world.ask().body != b"kept"


@pytest.mark.parametrize(
    ("method", "sets", "told"),
    [("GET", False, False), ("GET", True, True), ("POST", False, True)],
    ids=["a page", "a personal page", "a post"],
)
def test_a_sticky_cookie_is_set_where_no_page_could_be_shared(
    method: str, sets: bool, told: bool, worlds: list[CachedWorld]
) -> None:
    world = make(worlds, sticky="cookie")
    if sets:
        world.nodes[0].says = [("set-cookie", "sessionid=1")]
    answer = world.ask(method=method)
    assert ("wsgistack" in answer.fields.get("set-cookie", "")) == told


def test_our_own_sticky_cookie_makes_nobody_personal(worlds: list[CachedWorld]) -> None:
    world = make(worlds, sticky="cookie")
    world.keep()
    name = SERVICE_SETTINGS.get("sticky_cookie").default
    assert world.ask(("Cookie", f"{name}=0123456789abcdef; _ga=1")).body == b"kept"
    world.ask(("Cookie", f"{name}=0123456789abcdef"), target="/other")
    assert world.counted == {HIT: 1, HOP: 1}
    assert b"0123456789abcdef" not in world.keeper.came


def test_the_access_log_has_one_line_a_request_and_says_its_way(
    tmp_path: Path, worlds: list[CachedWorld]
) -> None:
    world = make(worlds)
    world.keep()
    world.plane.open_log(str(tmp_path / "log"), "json")
    world.ask()
    world.ask(target="/other")
    world.ask(("Cookie", "sessionid=1"))
    world.keeper.die(100.0)
    world.run_for(0.1)
    world.ask(target="/other")
    world.plane.open_log("off", "json")
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [line["cache"] for line in lines] == ["hit", "hop", "bypass", "fallback"]
    assert [line["client"] for line in lines] == ["192.0.2.9"] * 4
    assert next(line["bytes"] for line in lines) == 4
    assert [line.get("node") for line in lines] == [None, "unix:/sim/k0", "10.0.0.1:80", "10.0.0.1:80"]


# -- whatever happens ----------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_no_request_fails_whenever_the_keeper_dies_and_no_post_is_sent_twice(seed: int) -> None:
    world = World(seed, cache=make_cache(), workers=1 + seed % 2)
    keeper = SimKeeper(world.net, world.inner)
    for i in range(40):
        world.net.later(0.05 * i, partial(keeper.die, world.net.rng.choice([0.0, 0.01, 1.0])))
    world.add_clients(6, 10)
    world.run(300)
    executed = sum((n.executed for n in world.nodes), start=type(world.nodes[0].executed)())
    assert len(world.outcomes) == 60
    for outcome in world.outcomes:
        if outcome.method in IDEMPOTENT and not outcome.answered:
            raise AssertionError(outcome)
        if outcome.status == 200:
            assert outcome.whole, outcome
        if outcome.method == "POST":
            assert outcome.status in (200, 502, 0), outcome
            assert executed[outcome.ident] <= 1, outcome
    told = world.board.service(0)
    assert told["requests"] == 60
    assert told["cache_hops"] > 0
    assert told["cache_fallbacks"] > 0
    check_nothing_left(world)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_worker_that_dies_fails_no_repeatable_request_of_another(seed: int) -> None:
    world = World(seed, cache=make_cache(), workers=2)
    SimKeeper(world.net, world.inner)
    for i in range(10):
        world.net.later(0.15 * i, partial(world.crash, 1))
    world.add_clients(6, 8)
    world.run(300)
    others = [o for o in world.outcomes if int(o.ident[1]) % 2 == 0]  # clients of the first worker
    assert len(others) == 24
    assert [o for o in others if o.method in IDEMPOTENT and not o.answered] == []
    executed = sum((n.executed for n in world.nodes), start=type(world.nodes[0].executed)())
    assert max(executed[o.ident] for o in world.outcomes if o.method == "POST") <= 1
    check_nothing_left(world)
