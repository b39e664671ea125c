"""Calls for greenlets: over one connection per node that all of a hub's greenlets share.

A second connection per node takes what is large, so that the small does not wait behind it.
Only this module and `links` need gevent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gevent import getcurrent, spawn
from gevent import socket as gevent_socket
from gevent.exceptions import BlockingSwitchOutError

from wsgistack import forks
from wsgistack.store.memcached.calls import Call
from wsgistack.store.memcached.classic import Classic
from wsgistack.store.memcached.hubs import find_hub
from wsgistack.store.memcached.links import Link
from wsgistack.store.memcached.nodes import Node
from wsgistack.store.memcached.wire import Wait

try:
    from wsgistack.store.memcached.direct_cy import ask, carry_all
except ImportError:  # there was no C compiler: the same ways, at twice the cost
    from wsgistack.store.memcached.direct import ask, carry_all

__all__ = ["Coop", "ask"]


class Coop:
    """Makes calls for the greenlets of one hub."""

    def __init__(self, hub: Any, *, connect_timeout_s: float) -> None:
        self._hub = hub
        self._connect_timeout_s = connect_timeout_s
        self.links: dict[Node, Link] = {}
        self.bulk_links: dict[Node, Link] = {}
        self._classics: dict[Node, Classic] = {}
        forks.register(self)

    def run(self, pairs: Sequence[tuple[Node, Call]]) -> None:
        """Make all calls; each has its answer or its failure afterwards."""
        if len(pairs) == 1:
            self.run_one(*pairs[0])
        elif not carry_all(self.links, self.bulk_links, self._hub, pairs):
            self._run(pairs)

    def _run(self, pairs: Sequence[tuple[Node, Call]]) -> None:
        hub = self._hub
        current = getcurrent()
        if current is hub:
            raise BlockingSwitchOutError("a callback of the hub cannot wait for memcached")
        wait = Wait(len(pairs), None)
        try:
            for node, call in pairs:
                call.wait = wait
                if node.is_classic and node.may_write:
                    self._run_classic(node, call)
                    continue
                link = self._link(node, call)
                if link.channel.is_full:
                    link.park(hub.switch)
                if node.passes(call):
                    call.finish(None, "down")
                else:
                    link.channel.submit(call)
            wait.wake = current.switch
            while wait.missing:
                hub.switch()
        finally:
            wait.wake = None

    def run_one(self, node: Node, call: Call) -> None:
        """Do what `run` does, for one call."""
        link = self.links.get(node)
        hub, current = self._hub, getcurrent()
        bulk = self.bulk_links.get(node) if self.bulk_links else None
        is_simple = not (call.is_bulk or node.is_classic or (bulk is not None and bulk.is_busy))
        if link is None or not is_simple or link.channel.is_full or not node.may_write or current is hub:
            self._run(((node, call),))
            return
        link.channel.carry(call)

    def post(self, node: Node, call: Call) -> None:
        """Send a call whose answer nobody waits for."""
        if node.is_classic:
            spawn(self._run_classic, node, call)
        elif node.may_write:
            self._link(node, call).channel.submit(call)

    def close(self) -> None:
        """Close all connections."""
        for node in [*self.links, *self.bulk_links, *self._classics]:
            self.forget(node)

    def forget(self, node: Node) -> None:
        """Close the connections of a node that left the ring; any thread may ask for it."""
        if self._hub.loop is None or find_hub() is self._hub:
            self._forget(node)
        else:
            self._hub.loop.run_callback_threadsafe(self._forget, node)

    def forked(self) -> None:
        """Give up the connections, which are the parent's; who waited on them finds nothing."""
        for node in [*self.links, *self.bulk_links, *self._classics]:
            self._forget(node)

    def _forget(self, node: Node) -> None:
        for places in (self.links, self.bulk_links, self._classics):
            one = places.pop(node, None)
            if one is not None:
                one.close()

    def _run_classic(self, node: Node, call: Call) -> None:
        classic = self._classics.get(node)
        if classic is None:
            classic = self._classics[node] = Classic(
                node.address,
                gevent_socket,
                timeout_s=node.patience.limit_s,
                connect_timeout_s=self._connect_timeout_s,
            )
        classic.run(call)
        if call.failure is not None:
            node.broke(call.failure, [call])

    def _link(self, node: Node, call: Call) -> Link:
        links = self.links
        bulk = self.bulk_links.get(node)
        # What follows a large write of the same key must not overtake it.
        if call.is_bulk or (bulk is not None and bulk.carries(call.keys)):
            links = self.bulk_links
        link = links.get(node)
        if link is None:
            link = links[node] = Link(self._hub, node, self._connect_timeout_s, self._run_classic)
        return link
