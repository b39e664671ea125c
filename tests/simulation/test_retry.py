"""Retries, their budget and schedule, and sticky sessions on virtual time, over many seeds of random failures."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from tests.simulation.actors import Outcome
from tests.simulation.network import SHORT
from tests.simulation.seeds import make_seeds
from tests.simulation.test_whole_balancer import IDEMPOTENT, check_nothing_left
from tests.simulation.world import World

SEEDS = make_seeds(15)
TICK_S = 0.05  # of the plane's timers
TRAVEL_S = 0.1  # a message both ways, however the network cuts and delays it


def executions(world: World) -> Counter[str]:
    """Return how often the nodes got each request, all together."""
    total: Counter[str] = Counter()
    for node in world.nodes:
        total += node.executed
    return total


def check_never_twice(world: World) -> None:
    executed = executions(world)
    assert [o for o in world.outcomes if o.method == "POST" and executed[o.ident] > 1] == []


def check_deadline(world: World, deadline_s: float) -> None:
    late = [o for o in world.outcomes if o.ended - o.began > deadline_s + 2 * TICK_S + TRAVEL_S]
    assert late == []


@pytest.mark.parametrize("seed", SEEDS)
def test_no_request_passes_its_deadline_and_no_post_is_sent_twice(seed: int) -> None:
    rng_limit = 1 + seed % 5
    world = World(
        seed,
        trouble=0.4,
        node_first_byte_timeout=0.5,
        connect_timeout=0.5,
        node_idle_timeout=0.5,
        request_timeout=1.2,
        retry_limit=rng_limit,
        retry_on="connect,reset,timeout,invalid,500,502,503,504",
    )
    for node in world.nodes:
        node.troubles = ("reset", "partial", "nothing", "busy", "error", "die", "slow", "close_idle")
    world.add_clients(6, 10)
    world.run(600)
    check_never_twice(world)
    check_deadline(world, 1.2)
    # One try, those that count, and one more after a kept connection that was closed while idle.
    assert max(executions(world).values()) <= 1 + rng_limit + 1
    # 0: a node died within its answer, which can only be told by a cut.
    assert {o.status for o in world.outcomes if not o.answered} <= {502, 503, 504}
    check_nothing_left(world)


@pytest.mark.parametrize("seed", SEEDS)
def test_nodes_that_hang_fail_no_idempotent_request_while_one_is_sound(seed: int) -> None:
    world = World(seed, node_first_byte_timeout=0.3, retry_budget=100)
    for node in world.nodes[:2]:
        node.trouble = 0.5
        node.troubles = ("nothing", "busy", "reset", "partial")
    world.add_clients(5, 10)
    world.run(600)
    assert [o for o in world.outcomes if o.method in IDEMPOTENT and o.status != 200] == []
    check_never_twice(world)
    # Two nodes may each cost the time of one try; the third answers.
    check_deadline(world, 2 * 0.3 + 0.2)
    check_nothing_left(world)


@pytest.mark.parametrize("seed", SEEDS)
def test_retries_stay_within_their_budget_when_everything_fails(seed: int) -> None:
    world = World(seed, trouble=1.0, retry_budget=10, retry_limit=3, largest=SHORT)
    for node in world.nodes:
        node.troubles = ("busy", "partial")
    world.add_clients(8, 30)
    began = world.net.now
    world.run(600)
    windows = 1 + int((world.net.now - began) / 10)
    sent_again = sum(executions(world).values()) - len(world.outcomes)
    assert 0 < sent_again <= windows * 30 + 0.1 * len(world.outcomes) + 1
    assert any(event["event"] == "not_sent_again" for event in world.events)
    assert world.board.service(0)["unbudgeted"] > 0
    assert {o.status for o in world.outcomes} <= {502, 503}
    check_never_twice(world)
    check_nothing_left(world)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_500_is_repeated_by_the_schedule_and_only_for_get_and_head(seed: int) -> None:
    world = World(
        seed,
        trouble=0.6,
        enable_error_retries=True,
        error_retry_schedule="0,.25,.5",
        retry_on="none",
        retry_budget=1000,
    )
    for node in world.nodes:
        node.troubles = ("error",)
    world.add_clients(5, 8)
    world.run(600)
    executed = executions(world)
    for outcome in world.outcomes:
        assert outcome.status in (200, 500)
        if outcome.method in ("GET", "HEAD"):
            assert executed[outcome.ident] <= 4
            assert executed[outcome.ident] == 4 or outcome.status == 200
        else:
            assert executed[outcome.ident] == 1
    check_deadline(world, 0.25 + 0.5 + 2 * TICK_S + 0.2)
    check_nothing_left(world)


def moves(outcomes: list[Outcome]) -> list[tuple[Outcome, Outcome]]:
    """Return the pairs of successive answers of one client that came from different nodes."""
    by_client: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        if outcome.node:
            by_client.setdefault(outcome.ident.partition(".")[0], []).append(outcome)
    return [(a, b) for mine in by_client.values() for a, b in pairwise(mine) if a.node != b.node]


@pytest.mark.parametrize("seed", SEEDS)
def test_without_trouble_a_sticky_client_never_changes_its_node(seed: int) -> None:
    world = World(seed, sticky="cookie", largest=SHORT)
    world.add_clients(8, 8)
    world.run(300)
    assert {o.status for o in world.outcomes} == {200}
    assert moves(world.outcomes) == []
    assert sum(o.told for o in world.outcomes) == 8
    check_nothing_left(world)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_sticky_client_that_changes_its_node_is_told_so(seed: int) -> None:
    world = World(seed, sticky="cookie", trouble=0.1, largest=SHORT)
    for node in world.nodes:
        node.troubles = ("reset", "die")
    world.add_clients(8, 10)
    world.run(600)
    for _, later in moves(world.outcomes):
        assert later.told, later
    check_never_twice(world)
    check_nothing_left(world)
