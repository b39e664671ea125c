"""Bringing a node back: probed in the background, cleaned of what it missed, then used again.

No request of anybody is ever the probe.  A prober runs for one node, only while it is away, as a
greenlet where the trouble was met by one, else as a thread, over connections of its own.

    away        requests go past the node; its journal grows
    returning   it answers and what is dirty is being removed; writes reach it, reads do not
    in use
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from wsgistack.store.memcached import requests
from wsgistack.store.memcached.dialogue import Dialogue
from wsgistack.store.memcached.hubs import find_hub
from wsgistack.store.memcached.journal import Load
from wsgistack.store.memcached.nodes import Node

__all__ = ["Prober"]

BATCH = 500
LONGEST_LEAVING_S = 30.0  # then a connection that the server neither reads nor closes makes all dirty
PROBE_S = 0.05
ANSWER_S = 0.5  # removing a batch, emptying
LOST_S = 5.0  # a prober that was not heard of for so long died with its thread or hub


class Prober:
    """Brings the nodes of one ring back.  *find_node* gives the node of a name, or None."""

    def __init__(self, *, connect_timeout_s: float, find_node: Callable[[str], Node | None]) -> None:
        self._connect_timeout_s = connect_timeout_s
        self._find_node = find_node
        self._heard_at: dict[Node, float] = {}
        self._epoch = 0
        self._loads: list[tuple[Node, Load]] = []  # under way

    def start(self, node: Node) -> None:
        """Begin to bring *node* back, unless somebody is at it."""
        now = time.monotonic()
        if now - self._heard_at.get(node, -LOST_S) < LOST_S:
            return
        self._heard_at[node] = now
        if find_hub() is not None:
            import gevent
            from gevent import socket as gevent_socket

            gevent.spawn(self._bring_back, node, self._epoch, gevent_socket, gevent.sleep)
        else:
            import socket

            name = f"memcached {node.name}"
            arguments = (node, self._epoch, socket, time.sleep)
            threading.Thread(target=self._bring_back, args=arguments, name=name, daemon=True).start()

    def stop(self) -> None:
        """Let all probers end; a request that goes past a node starts one again."""
        self._epoch += 1
        self._heard_at.clear()

    def forked(self) -> None:
        """Begin anew what a thread of the parent was at: nobody knows whether it removed what it took."""
        self.stop()
        loads, self._loads = self._loads, []
        for node, load in loads:
            node.journal.put_back(load)

    def _bring_back(self, node: Node, epoch: int, sockets: Any, sleep: Callable[[float], object]) -> None:
        try:
            while epoch == self._epoch and not node.may_read and self._find_node(node.name) is node:
                now = time.monotonic()
                self._heard_at[node] = now
                wait_s = node.breaker.next_probe_at - now
                if wait_s > 0:
                    sleep(min(wait_s, 1.0))
                else:
                    self._probe(node, sockets)
        finally:
            if epoch == self._epoch:
                self._heard_at.pop(node, None)

    def _probe(self, node: Node, sockets: Any) -> None:
        """Ask once; when the node has proved itself, clean it and use it."""
        try:
            with Dialogue(node.address, sockets, self._connect_timeout_s) as dialogue:
                dialogue.ask(requests.line(b"version"), PROBE_S)
                if node.breaker.probed(True, time.monotonic()) and self._has_seen_off(node):
                    node.meet(dialogue.ask(requests.stats(), ANSWER_S))
                    node.begin_return()
                    self._clean(node, dialogue, sockets)
        except OSError:
            node.away_again()
            node.breaker.probed(False, time.monotonic())

    def _has_seen_off(self, node: Node) -> bool:
        """Return whether nothing that was sent before can take effect any more."""
        is_late = time.monotonic() - node.breaker.opened_at > LONGEST_LEAVING_S
        with node.lock:
            staying = [one for one in node.leaving if not one.has_ended()]
            if staying and is_late:
                node.journal.has_overflowed = True
            elif staying:
                return False
            ended, node.leaving = node.leaving, []
        for one in ended:
            one.sock.close()
        return True

    def _clean(self, node: Node, dialogue: Dialogue, sockets: Any) -> None:
        """Remove all that is dirty and use the node; OSError leaves it dirty."""
        while not node.end_return():
            load = self._take(node)
            try:
                self._remove(load, dialogue)
                self._remove_copies(load, sockets)
            except OSError:
                with node.lock:
                    node.journal.put_back(load)
                raise
            finally:
                self._settle(node, load)
            self._heard_at[node] = time.monotonic()
            if node.leaving:  # it broke again meanwhile
                raise ConnectionResetError("lost while it was cleaned")

    def _take(self, node: Node) -> Load:
        journal = node.journal
        with node.lock:
            flooded, copies = journal.take_flooded(), journal.take_copies(BATCH)
            load = Load(journal.take_overflow(), journal.take(BATCH), flooded, copies)
            self._loads.append((node, load))
        return load

    def _settle(self, node: Node, load: Load) -> None:
        with suppress(ValueError):  # a child that forked meanwhile has noted it again
            self._loads.remove((node, load))

    def _remove(self, load: Load, dialogue: Dialogue) -> None:
        if load.overflowed:
            dialogue.ask(requests.line(b"flush_all"), ANSWER_S)
        if load.keys:
            dialogue.ask(requests.delete_many(load.keys), ANSWER_S)

    def _remove_copies(self, load: Load, sockets: Any) -> None:
        """Remove what other nodes held in this one's stead."""
        by_name: dict[str, list[bytes]] = {name: [] for name in load.flooded}
        emptied = set(by_name)
        for key, name in load.copies:
            by_name.setdefault(name, []).append(key)
        for name, keys in by_name.items():
            other = self._find_node(name)
            if other is None:
                continue
            with other.lock:
                other.journal.add(keys)
                other.journal.has_overflowed |= name in emptied
            if other.may_write:
                self._clean_used(other, sockets)

    def _clean_used(self, node: Node, sockets: Any) -> None:
        """Remove what is dirty on a node that is in use; if that fails it is away, with its journal."""
        with node.lock:
            load = Load(node.journal.take_overflow(), node.journal.take(BATCH), set(), [])
            self._loads.append((node, load))
        try:
            with Dialogue(node.address, sockets, self._connect_timeout_s) as dialogue:
                self._remove(load, dialogue)
        except OSError:
            with node.lock:
                node.journal.put_back(load)
            node.broke("lost", ())
        finally:
            self._settle(node, load)
