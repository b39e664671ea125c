"""Whole balancers on virtual time: invariants over many seeds of random failures."""

from __future__ import annotations

from functools import partial

import pytest

from tests.simulation.seeds import make_seeds
from tests.simulation.world import World

SEEDS = make_seeds(15)
IDEMPOTENT = ("GET", "HEAD", "PUT")


def check_nothing_left(world: World) -> None:
    world.run_for(5.0)
    service = world.board.service(0)
    assert service["in_flight"] == 0
    assert service["waiting"] == 0
    assert service["client_connections"] == 0
    for slot in range(len(world.nodes)):
        assert world.board.node(slot)["in_flight"] == 0
        assert world.board.node(slot)["connecting"] == 0
    world.close()


@pytest.mark.parametrize("seed", SEEDS)
def test_without_trouble_every_request_gets_its_own_answer(seed: int) -> None:
    world = World(seed)
    world.add_clients(6, 8)
    world.run(300)
    assert len(world.outcomes) == 48
    assert [o for o in world.outcomes if o.status != 200 or not o.whole] == []
    assert world.events == []
    check_nothing_left(world)


@pytest.mark.parametrize("seed", SEEDS)
def test_with_trouble_nothing_is_sent_twice_and_nothing_is_mixed_up(seed: int) -> None:
    world = World(seed, trouble=0.15)
    world.add_clients(6, 10)
    world.run(600)
    executed = sum((n.executed for n in world.nodes), start=type(world.nodes[0].executed)())
    for outcome in world.outcomes:
        assert outcome.status in (200, 0, 502, 503, 504)
        if outcome.status == 200:
            assert outcome.whole, outcome
        if outcome.method == "POST":
            assert executed[outcome.ident] <= 1, outcome
    check_nothing_left(world)


@pytest.mark.parametrize("seed", SEEDS)
def test_with_one_sound_node_no_idempotent_request_fails(seed: int) -> None:
    world = World(seed, trouble=0.0)
    for node in world.nodes[:2]:
        node.trouble = 0.5
        node.troubles = ("reset", "partial", "close_idle", "die")
    world.add_clients(5, 10)
    world.run(600)
    # A node that dies within its response can only be told by a cut (RFC 9112 8); all else is hidden.
    failed = [o for o in world.outcomes if o.method in IDEMPOTENT and o.status != 200 and not o.answered]
    assert failed == []
    check_nothing_left(world)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_pool_that_changes_under_load_fails_no_request(seed: int) -> None:
    world = World(seed)
    world.add_clients(5, 12)
    for i in range(20):
        world.net.later(
            0.1 * i, partial(world.apply, world.net.rng.sample(range(3), world.net.rng.randint(1, 3)))
        )
    world.run(300)
    assert [o for o in world.outcomes if o.status != 200 or not o.whole] == []
    check_nothing_left(world)


@pytest.mark.parametrize("seed", SEEDS)
def test_no_request_outlives_its_deadlines(seed: int) -> None:
    world = World(seed, node_first_byte_timeout=1.0, connect_timeout=1.0, node_idle_timeout=1.0)
    for node in world.nodes:
        node.trouble = 0.5
        node.troubles = ("slow",)
    world.add_clients(4, 6)
    world.run(300)
    assert {o.status for o in world.outcomes} <= {200, 504}
    assert max(o.ended - o.began for o in world.outcomes) < 4.0
    check_nothing_left(world)


@pytest.mark.parametrize("seed", SEEDS)
def test_dead_nodes_are_answered_for_at_once_and_used_again_when_back(seed: int) -> None:
    world = World(seed)
    for node in world.nodes:
        node.die(back_after_s=10.0)
    world.add_clients(3, 3)
    world.run(100)
    assert {o.status for o in world.outcomes} == {502}
    assert max(o.ended - o.began for o in world.outcomes) < 1.0
    world.run_for(15.0)
    world.outcomes.clear()
    world.add_clients(3, 3)
    world.run(100)
    assert {o.status for o in world.outcomes} == {200}
    check_nothing_left(world)
