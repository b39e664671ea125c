"""A whole plane on the virtual network: nodes, clients, and the loop that turns events into calls."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from tests.simulation.actors import Outcome, SimClient, SimNode
from tests.simulation.network import LONG, Network
from wsgistack.balancer.address_list import AddressList
from wsgistack.balancer.cache import Cache
from wsgistack.balancer.limit import Limit
from wsgistack.balancer.model import Node, Pool
from wsgistack.balancer.plane import simulated
from wsgistack.balancer.plane.board import Board
from wsgistack.balancer.plane.plane import Plane
from wsgistack.balancer.pool_settings import POOL_SETTINGS
from wsgistack.balancer.service_settings import SERVICE_SETTINGS
from wsgistack.balancer.sticky import make_tokens
from wsgistack.balancer.throttle import throttle_as_wire

TICK_S = 0.05
READY_BYTES = 1 << 20
LIMIT_KEYS = 131_072


class World:
    """One simulated balancer with a pool of nodes; `run` until every client is served.

    Most of the time of a story goes into long bodies: *largest* is SHORT where they are not its subject.
    """

    def __init__(
        self,
        seed: int,
        *,
        nodes: int = 3,
        trouble: float = 0.0,
        workers: int = 1,
        cache: Cache | None = None,
        ready_bytes: int = READY_BYTES,
        largest: int = LONG,
        limit_keys: int = LIMIT_KEYS,
        **settings: Any,
    ) -> None:
        self.net = Network(seed, largest=largest)
        simulated.install(self.net)
        self.cache = cache
        ready_bytes = 0 if cache is None else ready_bytes
        self.board = Board.create(workers, ready_bytes=ready_bytes, limit_keys=limit_keys)
        self.events: list[dict[str, Any]] = []
        self.wakes = [self.net.eventfd() for _ in range(workers)]
        self.planes = [self.make_plane(worker) for worker in range(workers)]
        self.dead: list[Plane] = []
        self.options: dict[int, dict[str, Any]] = {}  # fields of Node by index
        self.outcomes: list[Outcome] = []
        self.clients: list[SimClient] = []
        self.settings = settings
        self.limits: dict[str, Limit] = {}  # all of them the service has
        self.lists: dict[str, AddressList] = {}
        self.pool_settings = {s.name: s.default for s in POOL_SETTINGS}
        self.nodes = [SimNode(self.net, f"n{i}", trouble) for i in range(nodes)]
        for i, node in enumerate(self.nodes):
            self.net.nodes[sockaddr(i)] = node.answer
        self.version = 0
        self.tick_at = self.net.now
        self.listeners = [self.net.listen() for _ in self.planes]
        self.inner = [self.net.listen() for _ in self.planes]  # where a keeper asks
        self.apply(range(nodes))
        for worker in range(workers):
            self.adopt(worker)

    @property
    def plane(self) -> Plane:
        """The first worker's."""
        return self.planes[0]

    def make_plane(self, worker: int) -> Plane:
        self.net.running = worker
        return Plane(self.board, worker, self.events.append, simulated=True, wakes=self.wakes)

    def adopt(self, worker: int) -> None:
        self.net.running = worker
        self.planes[worker].adopt("mysite", self.listeners[worker], "192.0.2.1:80")
        self.planes[worker].adopt("mysite", self.inner[worker], "unix:/sim/i0", inner=True)

    def crash(self, worker: int) -> None:
        """Let a worker die in the middle of everything, and another take its seat."""
        self.net.crash(worker)
        self.dead.append(self.planes[worker])
        self.board.forget_worker(worker)
        self.planes[worker] = self.make_plane(worker)
        self.planes[worker].apply(self.snapshot)
        self.adopt(worker)

    def apply(self, members: Any, *, down: Any = ()) -> None:
        """Publish a snapshot whose pool holds the nodes of these indexes; those in *down* are not up."""
        self.version += 1
        settings = {**{s.name: s.default for s in SERVICE_SETTINGS}, **self.settings}
        nodes = tuple(make_node(i, **{"up": i not in down} | self.options.get(i, {})) for i in members)
        self.snapshot = {
            "version": self.version,
            "server": {"max_connections": 1000},
            "limits": {name: limit.as_wire() for name, limit in self.limits.items()},
            "caches": {} if self.cache is None else {self.cache.name: self.cache.as_wire()},
            "folder": "/sim",
            "lists": {name: found.wire for name, found in self.lists.items()},
            "pools": {"mypool": Pool("mypool", 0, self.pool_settings, nodes).as_wire()},
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
                    "limits": list(self.limits),
                    "throttle": throttle_as_wire("mysite", settings),
                    "cache": None if self.cache is None else self.cache.name,
                    "tokens": make_tokens(b"", "mypool", [node.address for node in nodes]),
                }
            },
        }
        for worker, plane in enumerate(self.planes):
            self.net.running = worker
            plane.apply(self.snapshot)

    def add_clients(self, count: int, requests: int) -> None:
        for i in range(len(self.clients), len(self.clients) + count):
            dial = partial(self.net.dial, self.listeners[i % len(self.listeners)])
            self.clients.append(SimClient(self.net, dial, f"c{i}", requests, self.outcomes.append))

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
            for worker, plane in self.each_plane():
                plane.deliver(self.net.take_edges(worker))
        if self.net.now >= self.tick_at:
            self.tick_at += TICK_S
            for _, plane in self.each_plane():
                plane.tick()
        assert not simulated.failures, simulated.failures

    def each_plane(self) -> Iterator[tuple[int, Plane]]:
        """Yield each worker and its plane in a random order; what is called meanwhile is its."""
        for worker in self.net.rng.sample(range(len(self.planes)), len(self.planes)):
            self.net.running = worker
            yield worker, self.planes[worker]

    def stuck(self) -> str:
        waiting = [c.outcome for c in self.clients if not c.over]
        return f"{waiting[:3]} plane: {self.plane.inspect('socks')[:8]}"

    def close(self) -> None:
        for _, plane in self.each_plane():
            plane.close()
        self.board.close()


def make_node(index: int, **options: Any) -> Node:
    address = f"10.0.0.{index + 1}:80"
    return replace(Node(address=address, slot=index, weight=1, up=True, connect=address), **options)


def sockaddr(index: int) -> bytes:
    packed = socket.inet_aton(f"10.0.0.{index + 1}")
    return struct.pack("=H", socket.AF_INET) + struct.pack("!H", 80) + packed + b"\0" * 8
