"""Which way the calls of the running code go: greenlets share connections, threads take turns."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from wsgistack.store.keys import WireKey
from wsgistack.store.memcached import hubs
from wsgistack.store.memcached.calls import Call
from wsgistack.store.memcached.nodes import Node
from wsgistack.store.memcached.plain import Plain, ask

if TYPE_CHECKING:
    from wsgistack.store.memcached.cluster import Cluster

__all__ = ["Lane", "Lanes"]


class Lane(Protocol):
    """A way to make calls from the running thread or greenlet."""

    def run(self, pairs: Sequence[tuple[Node, Call]]) -> None:
        """Make all calls; all are written before any is read; each is over afterwards."""
        ...

    def run_one(self, node: Node, call: Call) -> None:
        """Make one call; it is over afterwards."""
        ...

    def post(self, node: Node, call: Call) -> None:
        """Send a call; where that is possible, without waiting for what comes of it."""
        ...

    def forget(self, node: Node) -> None:
        """Close the connections of a node that left the ring."""
        ...

    def close(self) -> None:
        """Close all connections; the next call opens them again."""
        ...


Ask = Callable[["Cluster", dict[Any, WireKey], set[bytes], Any], bytes | tuple[Node, Call] | None]


class Lanes:
    """The lanes of one ring, by hub."""

    def __init__(self, *, connect_timeout_s: float) -> None:
        self._connect_timeout_s = connect_timeout_s
        self._plain = Plain(connect_timeout_s=connect_timeout_s)
        self._by_hub: dict[Any, Lane] = {}
        self.ask: Ask = ask  # that of the last lane
        self.last: tuple[Any, Lane] = (None, self._plain)

    def current(self) -> Lane:
        """Return the lane of the running code."""
        hub = hubs.find()
        last_hub, lane = self.last
        return lane if hub is last_hub else self._of(hub)

    def all(self) -> list[Lane]:
        """Return every lane that was used."""
        return [self._plain, *self._by_hub.values()]

    def _of(self, hub: Any) -> Lane:
        if hub is None:
            self.last = (hub, self._plain)
            self.ask = ask
            return self._plain
        from wsgistack.store.memcached import coop

        lane = self._by_hub.get(hub)
        if lane is None:
            self._drop_dead()
            lane = self._by_hub[hub] = coop.Coop(hub, connect_timeout_s=self._connect_timeout_s)
        self.last = (hub, lane)
        self.ask = coop.ask
        return lane

    def _drop_dead(self) -> None:
        """Close the lanes of hubs whose threads have ended."""
        alive = sys._current_frames()
        for hub in [hub for hub in self._by_hub if hub.loop is None or hub.thread_ident not in alive]:
            self._by_hub.pop(hub).close()
