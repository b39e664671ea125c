"""A balancer with limits on the virtual network, and visitors who ask it one thing after the other."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import Any

import h11

from tests.simulation.world import World
from wsgistack.balancer.limit import Limit
from wsgistack.balancer.limit_settings import LIMIT_SETTINGS

__all__ = ["Answer", "LimitedWorld", "Visitor", "make_limit"]

PATIENCE_S = 30


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; *fields* by lower-case name, *kept* whether the connection takes another request."""

    status: int
    fields: dict[str, str]
    body: bytes
    kept: bool


def make_limit(name: str, slot: int = 0, epoch: int = 0, **settings: str) -> Limit:
    """Return a limit as SET would make it of these texts."""
    given = {key: LIMIT_SETTINGS.parse(key, text) for key, text in settings.items()}
    return Limit(name, slot, LIMIT_SETTINGS.defaults() | given, epoch)


class LimitedWorld(World):
    """A world without delays whose service has *limits*, in this order."""

    def __init__(self, *limits: Limit, workers: int = 1, **settings: Any) -> None:
        super().__init__(1, nodes=1, workers=workers, **settings)
        self.net.travel = lambda: 0.0  # type: ignore[method-assign]
        self.nodes[0].thinks_s = (0.0,)
        self.idents = count()
        assert self.board.limits is not None
        self.board.limits.keep_time(0)
        self.put(*limits)

    def put(self, *limits: Limit) -> None:
        """Publish these limits, instead of those before."""
        self.limits = {limit.name: limit for limit in limits}
        self.apply(range(1))

    @property
    def now_us(self) -> int:
        """The time by which limits count."""
        return int(self.net.now * 1e6)

    def visitor(self, worker: int = 0) -> Visitor:
        """Return somebody who has connected to a worker."""
        return Visitor(self, worker)

    def ask(self, *fields: tuple[str, str], worker: int = 0, **more: Any) -> Answer:
        """Ask on a connection of its own."""
        return self.visitor(worker).ask(*fields, **more)

    def statuses(self, times: int, *fields: tuple[str, str], **more: Any) -> list[int]:
        """Return the statuses of so many requests, one after the other."""
        return [self.ask(*fields, **more).status for _ in range(times)]

    @property
    def executed(self) -> int:
        """How many requests the node got."""
        return sum(self.nodes[0].executed.values())


class Visitor:
    """One connection, judged by h11."""

    def __init__(self, world: LimitedWorld, worker: int) -> None:
        self.world = world
        self.end = world.net.dial(world.listeners[worker])
        self.h11 = h11.Connection(h11.CLIENT)

    def ask(self, *fields: tuple[str, str], **more: Any) -> Answer:
        """Send a request as `send` does and return its answer."""
        self.send(*fields, **more)
        return self.read()

    def send(
        self,
        *fields: tuple[str, str],
        method: str = "GET",
        body: bytes = b"",
        late: bytes = b"",
        minor: str = "1.1",
        target: str = "/",
        host: str = "a",
    ) -> None:
        """Send a request whose answer is read later; *late* is the part of the body that does not come."""
        given = [("Host", host), ("X-Id", f"r{next(self.world.idents)}"), *fields]
        if body or late:
            given.append(("Content-Length", str(len(body + late))))
        head = h11.Request(method=method, target=target, headers=given)
        data = self.h11.send(head) or b""
        if body:
            data += self.h11.send(h11.Data(data=body)) or b""
        if not late:
            data += self.h11.send(h11.EndOfMessage()) or b""
        self.world.net.transmit(self.end, data.replace(b"HTTP/1.1", f"HTTP/{minor}".encode(), 1))

    def read(self) -> Answer:
        """Return the answer to what was sent."""
        until = self.world.net.now + PATIENCE_S
        response, body = None, b""
        while True:
            event = self.h11.next_event()
            if isinstance(event, h11.Response):
                response = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                break
            else:
                assert self.world.net.now < until, "no answer"
                self.world.step()
                got = self.world.net.take(self.end, 65536)
                if not isinstance(got, int):
                    self.h11.receive_data(got)
        assert response is not None
        kept = self.h11.our_state is h11.DONE and self.h11.their_state is h11.DONE
        if kept:
            self.h11.start_next_cycle()
        fields = {name.decode(): value.decode() for name, value in response.headers}
        return Answer(response.status_code, fields, body, kept)
