"""Requests that wait for a place, in several workers on one scoreboard and on virtual time."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from tests.simulation.network import SHORT
from tests.simulation.seeds import make_seeds
from tests.simulation.world import TICK_S, World

SEEDS = make_seeds(4)
LATE_S = 2 * TICK_S + 0.05  # until a timer fires, and until the answer has travelled


def make_world(seed: int, *, cap: int = 1, nodes: int = 2, **more: Any) -> World:
    """Return a world whose nodes take *cap* requests at once and think for 50 ms over each."""
    world = World(seed, nodes=nodes, largest=SHORT, **more)
    for i in range(nodes):
        world.options[i] = {"max_connections": cap}
        world.nodes[i].thinks_s = (0.05,)
    world.apply(range(nodes))
    return world


def run_checked(world: World, *, cap: int, limit_s: float = 300.0) -> None:
    """Run until every client is through, and look at the cap at each step."""
    end = world.net.now + limit_s
    while not all(client.over for client in world.clients):
        assert world.net.now < end, world.stuck()
        world.step()
        assert max(world.board.node(i)["in_flight"] for i in range(len(world.nodes))) <= cap
    assert max(node.most_at_once for node in world.nodes) <= cap


def check_nobody_left(world: World) -> None:
    world.run_for(3.0)
    service = world.board.service(0)
    assert (service["waiting"], service["in_flight"]) == (0, 0)
    assert [world.board.node(i)["in_flight"] for i in range(len(world.nodes))] == [0] * len(world.nodes)
    assert [row for _, plane in world.each_plane() for row in plane.inspect("waiting")] == []
    world.close()


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("seed", SEEDS)
def test_every_request_gets_its_place_in_the_end(seed: int, workers: int) -> None:
    world = make_world(seed, workers=workers)
    world.add_clients(12, 6)
    run_checked(world, cap=1)
    assert {outcome.status for outcome in world.outcomes} == {200}
    assert world.events == []
    check_nobody_left(world)


@pytest.mark.parametrize("seed", SEEDS)
def test_no_place_is_idle_while_somebody_waits_in_another_worker(seed: int) -> None:
    world = make_world(seed, workers=3, nodes=1)
    world.add_clients(9, 8)
    began = world.net.now
    run_checked(world, cap=1)
    # 72 requests of 50 ms, one at a time, are 3.6 s; travel and wake-ups are a few ms each.
    assert world.net.now - began < 72 * 0.095
    check_nobody_left(world)


@pytest.mark.parametrize("seed", SEEDS)
def test_nobody_starves_in_whatever_worker_he_waits(seed: int) -> None:
    world = make_world(seed, workers=3, nodes=1)
    world.add_clients(9, 12)
    run_checked(world, cap=1)
    waits = [outcome.ended - outcome.began for outcome in world.outcomes]
    # Nine clients take turns: nobody waits much longer than eight others take.
    assert max(waits) < 2.0 * 9 * 0.07
    check_nobody_left(world)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("seed", SEEDS)
def test_no_request_waits_past_its_deadline(seed: int, workers: int) -> None:
    world = make_world(seed, workers=workers, queue_timeout=0.4)
    for node in world.nodes:
        node.thinks_s = (0.3, 1.0)
    world.add_clients(12, 5)
    run_checked(world, cap=1)
    late = [o for o in world.outcomes if o.status == 503]
    assert late and {o.status for o in world.outcomes} == {200, 503}
    assert {event["reason"] for event in world.events} == {"queue_timeout"}
    assert max(o.ended - o.began for o in late) < 0.4 + LATE_S
    # Whoever was served had left the queue in time: one thought and the travels more.
    assert max(o.ended - o.began for o in world.outcomes) < 0.4 + 1.0 + 3 * LATE_S
    check_nobody_left(world)


def test_whoever_has_waited_long_enough_does_not_wait_again() -> None:
    world = make_world(1, queue_timeout=0.8)
    world.nodes[0].thinks_s = (0.6,)
    world.nodes[1].thinks_s = (5.0,)
    world.add_clients(3, 1)
    # One waits 0.6 s for the first node, which dies over its request when the second one is still full.
    world.net.later(1.03, partial(world.nodes[0].die, 10.0))
    while not all(client.over for client in world.clients):
        assert all(row["age"] < 0.8 for row in world.plane.inspect("waiting"))
        world.step()
    assert [(o.ident, o.status) for o in world.outcomes if o.status != 200] == [("c2.1", 503)]
    assert [event["reason"] for event in world.events if event["event"] == "refused"] == ["queue_timeout"]
    check_nobody_left(world)


@pytest.mark.parametrize("workers", [1, 3])
def test_a_full_queue_says_so_at_once(workers: int) -> None:
    world = make_world(1, workers=workers, nodes=1, queue_size=3)
    world.nodes[0].thinks_s = (1.0,)
    world.add_clients(9, 1)
    world.run_for(0.5)
    assert world.board.service(0)["waiting"] == 3
    world.run(100)
    refused = [o for o in world.outcomes if o.status == 503]
    assert len(refused) == 5
    assert max(o.ended - o.began for o in refused) < 0.2
    assert {event["reason"] for event in world.events} == {"queue_full"}
    check_nobody_left(world)


def test_without_a_queue_a_full_pool_is_answered_at_once() -> None:
    world = make_world(1, nodes=1, queue_size=0)
    world.add_clients(3, 1)
    world.run(100)
    assert sorted(o.status for o in world.outcomes) == [200, 503, 503]
    check_nobody_left(world)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_client_that_leaves_is_forgotten_at_once(seed: int) -> None:
    world = make_world(seed, workers=2, nodes=1)
    world.nodes[0].thinks_s = (0.5,)
    world.add_clients(8, 1)
    world.run_for(0.2)
    served = world.nodes[0].executed
    waiting = [client for client in world.clients if client.outcome and client.outcome.ident not in served]
    before = world.board.service(0)["waiting"]
    for client in waiting:
        client.over = True
        client.outcome = None
        client.close(reset=bool(seed % 2))
    world.run_for(0.1)
    assert before == 7
    assert world.board.service(0)["waiting"] == 0
    world.run_for(5.0)
    assert sum(world.nodes[0].executed.values()) == 1
    check_nobody_left(world)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_dead_worker_leaves_neither_waiters_nor_places(seed: int) -> None:
    world = make_world(seed, workers=3, cap=2)
    world.add_clients(15, 12)
    for i in range(9):
        world.net.later(0.15 + 0.2 * i, partial(world.crash, i % 3))
    run_checked(world, cap=2)
    assert {outcome.status for outcome in world.outcomes} <= {200, 0}
    check_nobody_left(world)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("seed", SEEDS)
def test_random_failures_break_no_promise(seed: int, workers: int) -> None:
    world = World(
        seed,
        workers=workers,
        trouble=0.2,
        queue_timeout=1.5,
        queue_size=8,
        node_first_byte_timeout=1.0,
        high_priority_cookie="class",
        queue_relief_size=2,
        queue_relief_chance=30,
    )
    for i in range(3):
        world.options[i] = {"max_connections": 2}
    for step in range(12):
        down = world.net.rng.sample(range(3), world.net.rng.randint(0, 3))
        world.net.later(0.3 * step, partial(world.apply, range(3), down=down))
    world.net.later(3.6, partial(world.apply, range(3)))
    world.add_clients(14, 10)
    for client in world.clients[::3]:
        client.cookie = "class=a"
    end = world.net.now + 600
    while not all(client.over for client in world.clients):
        assert world.net.now < end, world.stuck()
        world.step()
        assert max(world.board.node(i)["in_flight"] for i in range(3)) <= 2
        for _, plane in world.each_plane():
            assert all(row["age"] < 1.5 + LATE_S for row in plane.inspect("waiting"))
    executed: dict[str, int] = {}
    for node in world.nodes:
        for ident, count in node.executed.items():
            executed[ident] = executed.get(ident, 0) + count
    for outcome in world.outcomes:
        if outcome.method == "POST":
            assert executed.get(outcome.ident, 0) <= 1
    check_nobody_left(world)


def order_of_service(world: World) -> list[str]:
    return [o.ident.split(".")[0] for o in sorted(world.outcomes, key=lambda o: o.ended)]


def add_one_by_one(world: World, cookies: list[str]) -> None:
    for cookie in cookies:
        world.add_clients(1, 1)
        world.clients[-1].cookie = cookie
        world.run_for(0.05)


def test_high_goes_before_normal_and_low_comes_last() -> None:
    world = make_world(
        1,
        nodes=1,
        high_priority_cookie="level",
        high_priority_cookie_contents="gold card",
        low_priority_cookie="robot",
    )
    world.nodes[0].thinks_s = (1.0,)
    cookies = ["", "robot=1", "a=b", "level=my+gold%20card", "robot=1; level=Gold", "level=gold card!"]
    add_one_by_one(world, cookies)
    assert [(r["lane"], r["count"]) for r in world.plane.inspect("waiting")] == [
        ("highpri", 2),
        ("lowpri", 2),
        ("normal", 1),
    ]
    states = {r["state"]: r["count"] for r in world.plane.inspect("states") if r["kind"] == "client"}
    assert states == {"wait_res": 1, "wait_backend": 1, "wait_backend_high": 2, "wait_backend_low": 2}
    world.run(100)
    assert order_of_service(world) == ["c0", "c3", "c5", "c2", "c1", "c4"]
    check_nobody_left(world)


@pytest.mark.parametrize(
    ("size", "chance", "order"),
    [
        (2, 100, ["c0", "c1", "c3", "c4", "c2"]),
        (2, 0, ["c0", "c3", "c4", "c1", "c2"]),
        (3, 100, ["c0", "c3", "c4", "c1", "c2"]),
    ],
    ids=["relief while two normal ones wait", "never", "not with two"],
)
def test_relief_lets_normal_requests_pass(size: int, chance: int, order: list[str]) -> None:
    world = make_world(
        1, nodes=1, high_priority_cookie="vip", queue_relief_size=size, queue_relief_chance=chance
    )
    world.nodes[0].thinks_s = (1.0,)
    add_one_by_one(world, ["", "", "", "vip=1", "vip=1"])
    world.run(100)
    assert order_of_service(world) == order
    check_nobody_left(world)


def test_requests_of_two_workers_are_served_in_the_order_in_which_they_came() -> None:
    world = make_world(1, nodes=1, workers=2)
    world.nodes[0].thinks_s = (1.0,)
    add_one_by_one(world, [""] * 8)
    world.run(100)
    assert order_of_service(world) == [f"c{i}" for i in range(8)]
    check_nobody_left(world)


def test_who_waits_is_told_at_once_when_every_node_is_down() -> None:
    world = make_world(1, nodes=1)
    world.nodes[0].thinks_s = (2.0,)
    world.add_clients(4, 1)
    world.run_for(0.2)
    world.apply([0], down=[0])
    world.run_for(0.1)
    assert sorted(o.status for o in world.outcomes) == [503, 503, 503]
    assert {event["reason"] for event in world.events} == {"no_node"}
    world.run(100)
    check_nobody_left(world)


def test_a_node_that_is_added_takes_those_who_wait() -> None:
    world = make_world(1, nodes=2)
    world.apply([0])
    for node in world.nodes:
        node.thinks_s = (1.0,)
    world.add_clients(2, 1)
    world.run_for(0.2)
    world.apply([0, 1])
    world.run_for(0.1)
    assert world.board.service(0)["waiting"] == 0
    world.run(100)
    check_nobody_left(world)
