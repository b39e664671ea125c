"""A balancer with a page cache on the virtual network: its keeper sends everything on, and remembers what came."""

from __future__ import annotations

import errno
import socket
import struct
from functools import partial
from typing import Any

from tests.simulation.limited import LimitedWorld
from tests.simulation.network import End, Network
from wsgistack.balancer.cache import Cache
from wsgistack.balancer.plane.ready_table import ready_key
from wsgistack.cache.texts import TEXTS

__all__ = ["CachedWorld", "SimKeeper", "keep", "make", "make_cache"]

KEEPER = struct.pack("=H", socket.AF_UNIX) + b"/sim/k0\0"


def make_cache(**settings: str) -> Cache:
    """Return a cache as SET would make it of these texts."""
    given = {key: TEXTS.parse(key, text) for key, text in settings.items()}
    return Cache("pages", TEXTS.defaults() | given)


class SimKeeper:
    """A keeper without a store: what comes on a connection goes to the inner listener of some worker, and back.

    *swallows*: it takes requests and says nothing.
    """

    def __init__(self, net: Network, inner: list[int]) -> None:
        self.net = net
        self.inner = inner
        self.alive = True
        self.swallows = False
        self.came = bytearray()
        self.connections = 0
        self.ends: list[End] = []
        net.nodes[KEEPER] = self.answer

    def answer(self, end: End) -> bool:
        """Take a connection of a worker, unless dead."""
        if not self.alive:
            return False
        self.connections += 1
        other = self.net.dial(self.net.rng.choice(self.inner))
        self.ends += [end, other]
        end.on_change = partial(self.pipe, end, other)
        other.on_change = partial(self.pipe, other, end)
        return True

    def pipe(self, one: End, other: End) -> None:
        """Carry what came either way, and the end."""
        self.move(one, other, asked=one in self.ends[::2])
        self.move(other, one, asked=other in self.ends[::2])

    def move(self, source: End, sink: End, *, asked: bool) -> None:
        while not source.closed:
            got = self.net.take(source, 100_000)
            if isinstance(got, int):
                if got == -errno.ECONNRESET:
                    self.net.shut(source)
                    self.net.shut(sink, reset=True)
                return
            if not got:
                self.net.shut(source)
                self.net.shut(sink)
                return
            if asked:
                self.came += got
            if not sink.closed and not self.swallows:
                self.net.transmit(sink, got)  # without a bound: the plane bounds what it sends

    def die(self, back_after_s: float) -> None:
        """Reset every connection, refuse others for a while."""
        self.alive = False
        for end in self.ends:
            self.net.shut(end, reset=True)
        self.ends.clear()
        self.net.later(back_after_s, self.revive)

    def revive(self) -> None:
        self.alive = True


class CachedWorld(LimitedWorld):
    """A world without delays whose service has a cache."""

    def __init__(self, cache: Cache | None = None, **settings: Any) -> None:
        super().__init__(cache=cache or make_cache(), **settings)
        self.keeper = SimKeeper(self.net, self.inner)

    @property
    def counted(self) -> dict[str, int]:
        """How many requests went which way, without zeros."""
        told = self.board.service(0)
        ways = {name.removeprefix("cache_"): told[name] for name in told if name.startswith("cache_")}
        return {name: count for name, count in ways.items() if count}

    def keep(self, target: str = "/", **options: Any) -> None:
        """Publish a page, see keep()."""
        assert self.board.ready is not None
        assert keep(self.board.ready, target, self.net.clock()[1], **options)


def keep(
    table: Any,
    target: str,
    now: float,
    *,
    body: bytes = b"kept",
    age_s: float = 0,
    ttl_s: float = 60,
    status: bytes = b"200 OK",
    **key: bytes,
) -> bool:
    """Publish a page of the service 0 for http://a, as a keeper would."""
    scheme, host, encoding = key.get("scheme", b"http"), key.get("host", b"a"), key.get("encoding", b"")
    return bool(
        table.publish(
            ready_key(0, scheme, host, target.encode(), encoding),
            head_before=b"HTTP/1.1 " + status + b"\r\nDate: Thu, 26 Nov 2026 00:00:00 GMT\r\n",
            head_after=b"ETag: 1\r\n",
            body=body,
            born=now - age_s,
            expires_at=now + ttl_s,
        )
    )


def make(worlds: list[CachedWorld], *settings: Any, **options: Any) -> CachedWorld:
    """Return a world that the fixture `worlds` closes."""
    worlds.append(CachedWorld(*settings, **options))
    return worlds[-1]
