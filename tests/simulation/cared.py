"""A whole balancer: the plane, and the control plane that checks its nodes, samples it and publishes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.balancer.stage import FakeFiles, FakePorts
from tests.simulation.actors import SimNode
from tests.simulation.network import SHORT
from tests.simulation.world import World, sockaddr
from wsgistack.balancer.control import Check, Control, Session
from wsgistack.balancer.health import State
from wsgistack.balancer.model import News, ProbeResult
from wsgistack.balancer.stats import BoardStats

EPOCH_S = 1.7e9  # what the network's clock adds: see Network.clock
SAMPLE_INTERVAL_S = 0.125  # as the supervisor
PROBE_TIMEOUT_S = 1.0


class CaredWorld(World):
    """A World whose snapshots are made by Control; *lines* set the pool, as in a configuration.

    `on_sample` is called after each look at the traffic.
    """

    def __init__(self, seed: int, *, nodes: int = 3, lines: tuple[str, ...] = (), **settings: Any) -> None:
        super().__init__(seed, nodes=nodes, largest=SHORT, **settings)
        self.news: list[tuple[float, News]] = []
        self.sent: list[tuple[float, int]] = []  # when a connection was opened, and to which node
        self.on_sample: Callable[[], None] = lambda: None
        self.control = Control(
            ports=FakePorts(),
            stats=BoardStats(self.board, list),
            files=FakeFiles(),
            workers=1,
            started_at=self.epoch,
        )
        self.say("CREATE POOL mypool", *lines)
        for i in range(nodes):
            self.say(f"POOL mypool ADD 10.0.0.{i + 1}:80")
        self.say("CREATE SERVICE mysite", "SET role = reverse_proxy", "SET pool = mypool")
        self.say(*(f"SET {name} = {value}" for name, value in settings.items()))
        self.say("SET listen = 192.0.2.1:80", "ENABLE mysite")
        self.publish()
        for check in self.control.checks():
            self.plan(check)
        self.net.later(SAMPLE_INTERVAL_S, self.sample)

    @property
    def epoch(self) -> float:
        return self.net.now + EPOCH_S

    def say(self, *lines: str) -> None:
        if not hasattr(self, "session"):
            self.session = Session()
        for line in lines:
            self.control.attempt(line, self.session, self.epoch)

    # The control plane's part.

    def publish(self) -> None:
        snapshot = self.control.snapshot
        if snapshot.version != self.version:
            self.version = snapshot.version
            self.plane.apply(snapshot.as_wire())

    def sample(self) -> None:
        self.control.sample(self.epoch)
        self.publish()
        self.news += [(self.net.now, news) for news in self.control.take_news()]
        self.on_sample()
        self.net.later(SAMPLE_INTERVAL_S, self.sample)

    # The probes' part, on the virtual clock.

    def plan(self, check: Check) -> None:
        due = self.control.due(check.pool, check.node, self.epoch, self.net.rng)
        assert due is not None
        self.net.later(due, lambda: self.probe(check))

    def probe(self, check: Check) -> None:
        node = self.node(check.node)
        passes, detail, refused, after_s = examine(node, check.check.kind, self.net.travel())

        def end() -> None:
            result = ProbeResult(check.pool, check.node, passes, detail, refused)
            self.control.absorb(result, self.epoch)
            self.plan(check)

        self.net.later(after_s, end)

    # What tests look at.

    def node(self, address: str) -> SimNode:
        return self.nodes[index_of(address)]

    def states(self) -> dict[int, State]:
        pools = self.control.snapshot.pools["mypool"].nodes
        return {index_of(n.address): self.control.health("mypool", n.address).state for n in pools}

    def told(self, event: str) -> list[tuple[float, int]]:
        """Return when that was told of which node."""
        return [(at, index_of(str(news.fields["node"]))) for at, news in self.news if news.event == event]

    def watch_connects(self) -> None:
        """Keep in `sent` when the plane opened a connection to which node."""
        connect = self.net.connect
        indexes = {sockaddr(i): i for i in range(len(self.nodes))}

        def seen(where: bytes) -> tuple[int, int] | int:
            self.sent.append((self.net.now, indexes[where]))
            return connect(where)

        self.net.connect = seen  # type: ignore[assignment,method-assign]  # this world alone listens in


def index_of(address: str) -> int:
    """Return the index of the node at `10.0.0.N:80`."""
    return int(address.split(".")[3].partition(":")[0]) - 1


def examine(node: SimNode, kind: str, travel_s: float) -> tuple[bool, str, bool, float]:
    """Return (passed, why not, refused, after how many seconds) of a check of *node*."""
    if not node.alive:
        return False, "Connection refused", True, travel_s
    if kind == "tcp":
        return True, "", False, travel_s
    if "nothing" in node.troubles and node.trouble == 1.0:
        return False, "no answer within 1 s", False, PROBE_TIMEOUT_S
    if node.status != 200:
        return False, f"status {node.status}", False, travel_s + node.delay_s
    return True, "", False, travel_s + node.delay_s
