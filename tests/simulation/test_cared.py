"""Health, ejection and the breaker with a plane in the loop: invariants over many seeds of failures."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import pytest

from tests.simulation.actors import SimNode
from tests.simulation.cared import CaredWorld
from tests.simulation.seeds import make_seeds

SEEDS = make_seeds(3)  # 9 runs of each: seconds of many requests
TIMEOUTS: dict[str, Any] = {"node_first_byte_timeout": 1.0, "connect_timeout": 1.0}
USABLE = ("unchecked", "up", "warming", "trial")


def kill(node: SimNode) -> None:
    node.alive = False
    for connection in node.connections:
        connection.close(reset=True)
    node.connections.clear()


def hang(node: SimNode) -> None:
    node.trouble, node.troubles = 1.0, ("nothing",)


def fail(node: SimNode) -> None:
    node.status = 500


def slow_down(node: SimNode) -> None:
    node.delay_s = 0.3


def flicker(node: SimNode) -> None:
    node.trouble, node.troubles = 0.4, ("reset", "partial", "nothing")


def heal(node: SimNode) -> None:
    node.alive, node.trouble, node.status, node.delay_s = True, 0.0, 200, 0.0


DAMAGES = (kill, hang, fail, slow_down, flicker)


def damage(world: CaredWorld, *, until: float) -> None:
    """Plan failures of every node by chance; all are well from *until* seconds on."""
    rng = world.net.rng
    for node in world.nodes:
        at = rng.uniform(0.5, 3.0)
        while at < until:
            lasts = rng.choice([0.2, 1.0, 3.0])
            world.net.later(at, partial(rng.choice(DAMAGES), node))
            world.net.later(min(at + lasts, until), partial(heal, node))
            at += lasts + rng.uniform(0.5, 4.0)
        world.net.later(until, partial(heal, node))


def run_clients(world: CaredWorld, seconds: float, count: int = 4) -> None:
    """Let clients ask until that long has passed, then let them finish."""
    world.add_clients(count, 10**6)
    world.run_for(seconds)
    for client in world.clients:
        client.left = 0
    world.run(60)


def check_nothing_left(world: CaredWorld) -> None:
    world.run_for(3.0)
    service = world.board.service(0)
    assert (service["in_flight"], service["waiting"], service["client_connections"]) == (0, 0, 0)
    for slot in range(len(world.nodes)):
        counts = world.board.node(slot)
        assert (counts["in_flight"], counts["connecting"]) == (0, 0)
    world.close()


@pytest.mark.parametrize("kind", ["tcp", "http"])
@pytest.mark.parametrize("seed", SEEDS)
def test_through_all_failures_the_rules_hold(seed: int, kind: str) -> None:
    world = CaredWorld(seed, nodes=4, lines=(f"SET health_check = {kind}", "SET slow_start = 1s"), **TIMEOUTS)
    world.watch_connects()
    known_dead: set[int] = set()

    def check() -> None:
        states = world.states()
        for at, index in world.sent:
            assert index not in known_dead, f"at {at} a connection to n{index}, which was known to be dead"
        world.sent.clear()
        known_dead.clear()
        if any(state != "dead" for state in states.values()):
            known_dead.update(index for index, state in states.items() if state == "dead")
        put_aside = {str(i) for i, state in states.items() if state in ("ejected", "trial")}
        assert len(put_aside) <= 2, states
        nodes = world.control.snapshot.pools["mypool"].nodes
        assert any(node.up for node in nodes) or set(states.values()) == {"dead"}, states

    world.on_sample = check
    damage(world, until=8.0)
    run_clients(world, 8.0)
    for node in world.nodes:
        node.executed.clear()
    world.run_for(6.0)
    world.clients.clear()
    run_clients(world, 2.0)
    assert all(node.executed for node in world.nodes), world.states()
    ejections = world.told("node_ejected")
    for index in range(len(world.nodes)):
        times = [at for at, who in ejections if who == index]
        assert all(later - earlier >= 1.0 for earlier, later in pairwise(times)), times
    downs = world.told("node_down")
    for index in range(len(world.nodes)):
        times = [at for at, who in downs if who == index]
        assert all(later - earlier >= 0.4 for earlier, later in pairwise(times)), times
    check_nothing_left(world)


# A node that says nothing is put on hold by the plane for 3 s at its first time-out, so that the
# failures in a row that eject it may be some time in coming.
BAD = [
    pytest.param(kill, "5", 2.0, id="killed"),
    pytest.param(hang, "2", 6.0, id="silent"),
    pytest.param(fail, "5", 1.0, id="failing"),
    pytest.param(slow_down, "5", 2.5, id="slow"),
]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("harm", "failures", "within_s"), BAD)
def test_a_bad_node_is_out_soon_and_back_soon(
    seed: int, harm: Callable[[SimNode], None], failures: str, within_s: float
) -> None:
    world = CaredWorld(seed, lines=(f"SET eject_failures = {failures}",), **TIMEOUTS)
    world.add_clients(6, 10**6)
    world.run_for(2.0)
    assert set(world.states().values()) == {"up"}
    harm(world.nodes[1])
    began = world.net.now
    while world.states()[1] in USABLE:
        world.step()
        assert world.net.now - began < within_s, world.states()
    world.run_for(0.5)  # what was on its way
    before = sum(node.executed.total() for node in world.nodes), world.nodes[1].executed.total()
    world.run_for(4.0)
    after = sum(node.executed.total() for node in world.nodes), world.nodes[1].executed.total()
    assert (after[1] - before[1]) < 0.06 * (after[0] - before[0])
    heal(world.nodes[1])
    began, served = world.net.now, world.nodes[1].executed.total()
    while world.nodes[1].executed.total() < served + 4:
        world.step()
        assert world.net.now - began < 5.0, world.states()
    for client in world.clients:
        client.left = 0
    world.run(60)
    check_nothing_left(world)


@pytest.mark.parametrize("seed", SEEDS)
def test_when_all_fail_at_once_half_of_them_stay(seed: int) -> None:
    world = CaredWorld(seed, nodes=4, **TIMEOUTS)
    most: list[int] = []
    world.on_sample = lambda: most.append(
        sum(state in ("ejected", "trial") for state in world.states().values())
    )
    for node in world.nodes:
        fail(node)
    run_clients(world, 4.0)
    assert max(most) == 2
    check_nothing_left(world)


@pytest.mark.parametrize("seed", SEEDS)
def test_dead_nodes_are_answered_for_at_once_and_found_within_a_check_interval(seed: int) -> None:
    world = CaredWorld(seed)
    for node in world.nodes:
        kill(node)
    world.run_for(2.5)
    assert set(world.states().values()) == {"dead"}
    world.add_clients(3, 4)
    world.run(30)
    assert {outcome.status for outcome in world.outcomes} == {503}
    assert max(outcome.ended - outcome.began for outcome in world.outcomes) < 0.5
    assert {event["reason"] for event in world.events if event["event"] == "refused"} == {"no_node"}
    for node in world.nodes:
        heal(node)
    began = world.net.now
    world.outcomes.clear()
    world.add_clients(3, 10**6)
    while not any(outcome.status == 200 for outcome in world.outcomes):
        world.step()
        assert world.net.now - began < 1.0
    for client in world.clients:
        client.left = 0
    world.run(30)
    check_nothing_left(world)


@pytest.mark.parametrize("seed", SEEDS)
def test_an_open_breaker_answers_at_once_and_closes_when_all_is_well(seed: int) -> None:
    lines = ("SET breaker_percent = 50", "SET breaker_requests = 20", "SET breaker_time = 2s")
    world = CaredWorld(seed, lines=lines, **TIMEOUTS)
    for node in world.nodes:
        fail(node)
    world.add_clients(4, 10**6)
    while world.control.snapshot.pools["mypool"].admits != 0:
        world.step()
        assert world.net.now < 1020.0
    world.run_for(0.5)
    executed = sum(node.executed.total() for node in world.nodes)
    world.outcomes.clear()
    world.run_for(0.5)
    assert sum(node.executed.total() for node in world.nodes) == executed
    assert {outcome.status for outcome in world.outcomes} == {503}
    assert world.events[-1]["reason"] == "pool_open"
    for node in world.nodes:
        heal(node)
    began = world.net.now
    while world.control.snapshot.pools["mypool"].admits != 100:
        world.step()
        assert world.net.now - began < 8.0
    for client in world.clients:
        client.left = 0
    world.run(30)
    check_nothing_left(world)
