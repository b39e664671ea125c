"""Whole balancers on virtual time with other settings, other nodes and other clients."""

from __future__ import annotations

import re

import pytest

from tests.simulation.network import End
from tests.simulation.seeds import make_seeds
from tests.simulation.test_whole_balancer import check_nothing_left
from tests.simulation.world import World

SEEDS = make_seeds(8)


def check_all_served(world: World, count: int) -> None:
    assert len(world.outcomes) == count
    assert [o for o in world.outcomes if o.status != 200 or not o.whole] == []
    check_nothing_left(world)


@pytest.mark.parametrize("seed", SEEDS)
def test_each_new_connection_is_verified_and_no_request_fails(seed: int) -> None:
    world = World(seed, verify_backend=True)
    world.add_clients(5, 6)
    world.run(300)
    connections = sum(world.board.node(slot)["connects"] for slot in range(3))
    assert sum(node.verified for node in world.nodes) == connections > 0
    check_all_served(world, 30)


@pytest.mark.parametrize("seed", SEEDS)
def test_nodes_that_speak_1_0_are_served_from(seed: int) -> None:
    world = World(seed)
    for node in world.nodes[:2]:
        node.old = True
    world.add_clients(5, 8)
    world.run(300)
    assert all(node.executed for node in world.nodes)
    check_all_served(world, 40)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("down", "up"), [(1, 0), (1, 100), (4096, 5000)])
def test_small_buffers_change_nothing_but_the_pace(seed: int, down: int, up: int) -> None:
    world = World(seed, buffer_size=down, buffer_backend_connect=up)
    world.add_clients(4, 6)
    world.run(600)
    check_all_served(world, 24)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_drain_finishes_what_runs_and_ends_what_is_idle(seed: int) -> None:
    world = World(seed)
    world.add_clients(6, 1)
    world.run_for(world.net.rng.choice([0.0005, 0.002, 0.02]))
    accepted = world.plane.clients()
    world.plane.drain()
    world.run_for(10.0)
    assert world.plane.clients() == 0
    # Those that had connected were served; the others may still have been in the queue.
    done = [o for o in world.outcomes if o.status == 200]
    assert len(done) >= accepted
    assert all(o.whole for o in done)
    world.close()


class Pipeliner:
    """A client that sends *count* requests at once, in pieces, and gathers what comes."""

    def __init__(self, world: World, name: str, count: int) -> None:
        self.net, self.name = world.net, name
        self.end: End = world.net.dial(world.listeners[0])
        self.end.on_change = self.change
        self.out = b"".join(
            b"GET /%d HTTP/1.1\r\nHost: a\r\nX-Id: %s.%d\r\n\r\n" % (i, name.encode(), i)
            for i in range(count)
        )
        self.got = b""
        world.net.later(0.0, self.change)

    def change(self) -> None:
        while self.out and (n := self.net.put(self.end, self.out[: self.net.rng.randint(1, 200)])) > 0:
            self.out = self.out[n:]
        while isinstance(data := self.net.take(self.end, 100000), bytes) and data:
            self.got += data

    def order(self) -> list[int]:
        """Return the numbers of the requests in the order of their answers."""
        heads = re.split(rb"HTTP/1\.1 200 ", self.got)[1:]
        found = [re.search(self.name.encode() + rb"\.(\d+)=", head) for head in heads]
        return [int(one[1]) for one in found if one is not None]


@pytest.mark.parametrize("seed", SEEDS)
def test_pipelined_requests_are_answered_in_their_order(seed: int) -> None:
    world = World(seed)
    clients = [Pipeliner(world, name, 12) for name in ("a", "b", "c")]
    world.run_for(20.0)
    assert [client.order() for client in clients] == [list(range(12))] * 3
    for node in world.nodes:
        assert max(node.executed.values(), default=0) <= 1
    for client in clients:
        world.net.shut(client.end)
    check_nothing_left(world)
