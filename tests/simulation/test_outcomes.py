"""What the scoreboard says of nodes that do well, badly, or nothing at all."""

from __future__ import annotations

import pytest

from tests.simulation.network import SHORT
from tests.simulation.seeds import make_seeds
from tests.simulation.world import World

SEEDS = make_seeds(5)


@pytest.mark.parametrize("seed", SEEDS)
def test_each_final_response_is_a_good_outcome_with_its_time(seed: int) -> None:
    world = World(seed, largest=SHORT)
    world.add_clients(4, 10)
    world.run(300)
    found = world.board.outcomes([0, 1, 2])
    assert [o.good for o in found] == [sum(n.executed.values()) for n in world.nodes]
    assert [(o.bad, o.streak, o.held) for o in found] == [(0, 0, False)] * 3
    for outcome in found:
        # Two segments of at most 10 ms, at most 20 ms of thought, and the upload's segments.
        assert 100 < outcome.spent_us / outcome.good < 200_000
        assert 100 < outcome.latency_us < 500_000
        assert 1000e6 < outcome.measured_us <= world.net.now * 1e6
    world.close()


@pytest.mark.parametrize(("statuses", "good", "bad"), [("500-599", 0, 6), ("502,504", 6, 0)])
def test_a_status_counts_as_the_pool_says(statuses: str, good: int, bad: int) -> None:
    world = World(1, nodes=1, largest=SHORT)
    world.nodes[0].status = 500
    world.pool_settings["eject_statuses"] = statuses
    world.apply([0])
    world.add_clients(2, 3)
    world.run(100)
    (outcome,) = world.board.outcomes([0])
    assert (outcome.good, outcome.bad, outcome.streak) == (good, bad, bad)
    assert not outcome.held
    world.close()


def test_a_good_response_ends_the_streak() -> None:
    world = World(1, nodes=1, largest=SHORT)
    world.nodes[0].status = 503
    world.add_clients(1, 4)
    world.run(100)
    world.nodes[0].status = 200
    world.add_clients(1, 1)
    world.run(100)
    (outcome,) = world.board.outcomes([0])
    assert (outcome.good, outcome.bad, outcome.streak) == (1, 4, 0)
    world.close()


def test_a_refused_connection_is_bad_and_holds_the_node() -> None:
    world = World(1, nodes=2, largest=SHORT)
    world.nodes[0].die(back_after_s=1000)
    world.add_clients(3, 5)
    world.run(100)
    dead, live = world.board.outcomes([0, 1])
    assert dead.good == 0 and dead.bad >= 1 and dead.streak == dead.bad
    assert (live.good, live.bad) == (15, 0)
    world.close()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_node_that_falls_silent_gets_nothing_more_after_its_first_timeout(seed: int) -> None:
    world = World(seed, nodes=2, node_first_byte_timeout=1.0, largest=SHORT)
    world.nodes[0].trouble = 1.0
    world.nodes[0].troubles = ("nothing",)
    world.add_clients(6, 200)
    while not world.board.outcomes([0])[0].bad:
        world.step()
    seen = sum(world.nodes[0].executed.values())
    world.run_for(2.5)  # of the three seconds that it is put aside
    assert sum(world.nodes[0].executed.values()) == seen
    assert sum(world.nodes[1].executed.values()) > 100
    world.plane.close()


def test_the_hold_ends_when_health_takes_the_node_back() -> None:
    world = World(2, nodes=2, node_first_byte_timeout=1.0, largest=SHORT)
    world.nodes[0].trouble = 1.0
    world.nodes[0].troubles = ("nothing",)
    world.add_clients(6, 400)
    while not world.board.outcomes([0])[0].bad:
        world.step()
    world.apply([0, 1], down=[0])
    world.nodes[0].trouble = 0.0
    world.run_for(0.5)
    world.apply([0, 1])
    world.run_for(0.5)
    assert world.board.outcomes([0])[0].good > 0
    world.plane.close()
