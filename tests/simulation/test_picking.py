"""Who gets a request: tiers, drains, caps, slow start and rings, in whole balancers on virtual time."""

from __future__ import annotations

from collections import Counter
from functools import partial

import pytest

from tests.simulation.network import SHORT
from tests.simulation.seeds import make_seeds
from tests.simulation.world import World, make_node
from wsgistack.balancer.hash_key import hash_text
from wsgistack.balancer.model import Pool, Snapshot
from wsgistack.balancer.routing import Row, rank_nodes

SEEDS = make_seeds(2)


def served(world: World) -> list[int]:
    """Return how many requests each node has executed."""
    return [sum(node.executed.values()) for node in world.nodes]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_backup_serves_only_while_no_other_node_can(seed: int) -> None:
    world = World(seed, largest=SHORT)
    world.options[2] = {"backup": True}
    world.apply([0, 1, 2])
    world.add_clients(4, 10)
    world.run(300)
    assert served(world)[2] == 0
    world.apply([0, 1, 2], down=[0, 1])
    world.add_clients(4, 10)
    world.run(300)
    assert served(world)[2] == 40
    assert {o.status for o in world.outcomes} == {200}
    world.close()


@pytest.mark.parametrize("seed", SEEDS)
def test_backups_hide_that_all_others_refuse(seed: int) -> None:
    world = World(seed, largest=SHORT)
    world.options[2] = {"backup": True}
    world.apply([0, 1, 2])
    for node in world.nodes[:2]:
        node.die(back_after_s=10_000)
    world.add_clients(4, 10)
    world.run(300)
    assert {o.status for o in world.outcomes} == {200}
    assert served(world) == [0, 0, 40]
    world.close()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_node_that_drains_gets_nothing_new(seed: int) -> None:
    world = World(seed, largest=SHORT)
    world.options[0] = {"draining": True}
    world.apply([0, 1])
    world.add_clients(4, 10)
    world.run(300)
    assert served(world)[:2] == [0, 40]
    world.apply([0])
    world.add_clients(1, 1)
    world.run(100)
    assert world.outcomes[-1].status == 503
    world.close()


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_node_never_has_more_requests_than_its_cap(seed: int, workers: int) -> None:
    world = World(seed, workers=workers, largest=SHORT)
    for i in range(3):
        world.options[i] = {"max_connections": i + 1}
    world.apply([0, 1, 2])
    for i in range(10):
        world.net.later(0.2 * i, partial(world.apply, world.net.rng.sample(range(3), 2)))
    world.add_clients(14, 15)
    while not all(client.over for client in world.clients):
        world.step()
        assert [world.board.node(i)["in_flight"] <= i + 1 for i in range(3)] == [True] * 3
    assert [node.most_at_once <= i + 1 for i, node in enumerate(world.nodes)] == [True] * 3
    assert max(node.most_at_once for node in world.nodes) > 1
    world.close()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_worker_that_dies_leaves_no_place_taken(seed: int) -> None:
    world = World(seed, workers=3, largest=SHORT)
    for i in range(3):
        world.options[i] = {"max_connections": 2}
    world.apply([0, 1, 2])
    world.add_clients(12, 30)
    for i in range(6):
        world.net.later(0.1 + 0.2 * i, partial(world.crash, i % 3))
    while not all(client.over for client in world.clients):
        world.step()
        assert max(world.board.node(i)["in_flight"] for i in range(3)) <= 2
    assert max(node.most_at_once for node in world.nodes) == 2
    world.run_for(2.0)
    assert [world.board.node(i)["in_flight"] for i in range(3)] == [0, 0, 0]
    world.close()


def test_first_fills_one_node_before_the_next() -> None:
    world = World(1, largest=SHORT)
    world.pool_settings["balance_method"] = "first"
    for i in range(3):
        world.options[i] = {"max_connections": 4}
        world.nodes[i].thinks_s = (0.02,)
    world.apply([0, 1, 2])
    world.add_clients(5, 40)
    world.run(300)
    first, second, third = served(world)
    assert first > second > third == 0
    world.close()


def test_a_warming_node_takes_its_share_by_and_by() -> None:
    world = World(3, nodes=2, largest=SHORT)
    world.pool_settings |= {"balance_method": "round_robin", "slow_start": 10.0}
    world.options[1] = {"warm_from": world.net.clock()[1]}
    world.apply([0, 1])
    shares = []
    for _ in range(3):
        before = served(world)
        world.add_clients(2, 10_000)
        world.run_for(5.0)
        got = [now - then for now, then in zip(served(world), before, strict=True)]
        shares.append(got[1] / sum(got))
    assert 0.1 < shares[0] < 0.3
    assert 0.3 < shares[1] < 0.48
    assert 0.48 < shares[2] < 0.52
    world.close()


@pytest.mark.parametrize("workers", [1, 2])
def test_consistent_sends_a_page_to_one_node_whoever_asks_for_it(workers: int) -> None:
    world = World(1, workers=workers, largest=SHORT)
    world.pool_settings |= {"balance_method": "consistent", "hash_key": "uri"}
    world.apply([0, 1, 2])
    world.add_clients(4, 30)
    for client in world.clients:
        client.name = "same"  # the page is /same.1 and so on
    world.run(300)
    homes = Counter(ident for node in world.nodes for ident in node.executed)
    assert set(homes.values()) == {1}
    assert min(served(world)) > 10
    world.close()


@pytest.mark.parametrize(
    ("hash_key", "key"), [("header:x-id", "c0.1"), ("ip", "192.0.2.9"), ("header:x-none", None)]
)
def test_the_plane_and_explain_agree_on_the_node(hash_key: str, key: str | None) -> None:
    world = World(1, largest=SHORT)
    world.pool_settings |= {"balance_method": "consistent", "hash_key": hash_key}
    world.apply([0, 1, 2])
    world.add_clients(1, 1)
    world.run(100)
    pool = Pool("mypool", 0, world.pool_settings, tuple(make_node(i) for i in range(3)))
    ranked = rank_nodes(
        Snapshot(1, {}, {"mypool": pool}, {}),
        "mypool",
        {i: Row() for i in range(3)},
        key=None if key is None else hash_text(key.encode()),
        now=0.0,
        clock=0.0,
    )
    served_by = served(world).index(1)
    if key is None:
        assert [one.score for one in ranked] == [3.0, 3.0, 3.0]
    else:
        assert ranked[0].node.slot == served_by
    world.close()


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_node_known_to_be_dead_gets_nothing_while_another_lives(seed: int, workers: int) -> None:
    world = World(seed, workers=workers, trouble=0.1, largest=SHORT)
    dead: set[int] = set()
    before = [0, 0, 0]

    def publish() -> None:
        dead.clear()
        dead.update(world.net.rng.sample(range(3), world.net.rng.randint(0, 2)))
        world.apply(range(3), down=dead)
        before[:] = [world.board.node(i)["in_flight"] for i in range(3)]

    for i in range(15):
        world.net.later(0.2 * i, publish)
    world.add_clients(8, 20)
    while not all(client.over for client in world.clients):
        world.step()
        now = [world.board.node(i)["in_flight"] for i in range(3)]
        # What was under way ends; nothing is added.
        assert [i for i in dead if now[i] > before[i]] == []
        before[:] = now
    world.close()
