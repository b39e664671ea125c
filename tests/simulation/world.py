"""A whole plane on the virtual network: nodes, clients, and the loop that turns events into calls."""

from __future__ import annotations

import socket
import struct
from dataclasses import asdict
from typing import Any

from tests.simulation.actors import Outcome, SimClient, SimNode
from tests.simulation.network import Network
from wsgistack.balancer.model import Node
from wsgistack.balancer.plane import simulated
from wsgistack.balancer.plane.board import Board
from wsgistack.balancer.plane.plane import Plane
from wsgistack.balancer.pool_settings import POOL_SETTINGS
from wsgistack.balancer.service_settings import SERVICE_SETTINGS

TICK_S = 0.05


class World:
    """One simulated balancer with a pool of nodes; `run` until every client is served."""

    def __init__(self, seed: int, *, nodes: int = 3, trouble: float = 0.0, **settings: Any) -> None:
        self.net = Network(seed)
        simulated.install(self.net)
        self.board = Board.create(1)
        self.events: list[dict[str, Any]] = []
        self.plane = Plane(self.board, 0, self.events.append, simulated=True)
        self.outcomes: list[Outcome] = []
        self.clients: list[SimClient] = []
        self.settings = settings
        self.pool_settings = {s.name: s.default for s in POOL_SETTINGS}
        self.nodes = [SimNode(self.net, f"n{i}", trouble) for i in range(nodes)]
        for i, node in enumerate(self.nodes):
            self.net.nodes[sockaddr(i)] = node.answer
        self.version = 0
        self.tick_at = self.net.now
        self.apply(range(nodes))
        self.listener = self.net.listen()
        self.plane.adopt("mysite", self.listener, "192.0.2.1:80")

    def apply(self, members: Any, *, down: Any = ()) -> None:
        """Publish a snapshot whose pool holds the nodes of these indexes; those in *down* are not up."""
        self.version += 1
        settings = {**{s.name: s.default for s in SERVICE_SETTINGS}, **self.settings}
        self.plane.apply(
            {
                "version": self.version,
                "server": {"max_connections": 1000},
                "pools": {
                    "mypool": {
                        "slot": 0,
                        "algorithm": "two_choices",
                        "admits": 100,
                        "settings": self.pool_settings,
                        "nodes": [asdict(make_node(i, up=i not in down)) for i in members],
                    }
                },
                "services": {
                    "mysite": {
                        "slot": 0,
                        "role": "reverse_proxy",
                        "enabled": True,
                        "pool": "mypool",
                        "listen": ["192.0.2.1:80"],
                        "settings": settings,
                        "insert": [],
                        "remove": [],
                        "tokens": {},
                    }
                },
            }
        )

    def add_clients(self, count: int, requests: int) -> None:
        for i in range(len(self.clients), len(self.clients) + count):
            self.clients.append(
                SimClient(
                    self.net, lambda: self.net.dial(self.listener), f"c{i}", requests, self.outcomes.append
                )
            )

    def run(self, limit_s: float) -> None:
        """Run until all clients are through; AssertionError after *limit_s* virtual seconds."""
        end = self.net.now + limit_s
        while not all(c.over for c in self.clients):
            assert self.net.now < end, f"stalled: {self.stuck()}"
            self.step()

    def run_for(self, seconds: float) -> None:
        end = self.net.now + seconds
        while self.net.now < end:
            self.step()

    def step(self) -> None:
        self.net.advance(self.tick_at)
        while self.net.edges:
            self.plane.deliver(self.net.take_edges())
        if self.net.now >= self.tick_at:
            self.tick_at += TICK_S
            self.plane.tick()
        assert not simulated.failures, simulated.failures

    def stuck(self) -> str:
        waiting = [c.outcome for c in self.clients if not c.over]
        return f"{waiting[:3]} plane: {self.plane.inspect('socks')[:8]}"

    def close(self) -> None:
        self.plane.close()
        self.board.close()


def make_node(index: int, *, up: bool = True) -> Node:
    address = f"10.0.0.{index + 1}:80"
    return Node(address=address, slot=index, weight=1, up=up, connect=address)


def sockaddr(index: int) -> bytes:
    packed = socket.inet_aton(f"10.0.0.{index + 1}")
    return struct.pack("=H", socket.AF_INET) + struct.pack("!H", 80) + packed + b"\0" * 8
