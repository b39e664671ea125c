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
from functools import partial
from itertools import islice
from typing import Any

from wsgistack.store.memcached import requests
from wsgistack.store.memcached.dialogue import Dialogue
from wsgistack.store.memcached.hubs import find_hub
from wsgistack.store.memcached.nodes import Node

__all__ = ["Prober"]

BATCH = 500
MOST_SETTLED = 50_000  # keys of one node: about 10 MB
LONGEST_LEAVING_S = 30.0  # then a connection that the server neither reads nor closes makes all dirty
PROBE_S = 0.05
ANSWER_S = 0.5  # removing a batch, emptying
TURN_S = 0.005
LOST_S = 5.0  # a prober that was not heard of for so long died with its thread or hub


class Prober:
    """Brings the nodes of one ring back.  *find_node* gives the node of a name, or None.

    *owe* is told what is dirty on the node of a name, or that all is, which may have left the ring.
    """

    def __init__(
        self,
        *,
        connect_timeout_s: float,
        find_node: Callable[[str], Node | None],
        owe: Callable[[str, list[bytes], bool], None],
    ) -> None:
        self._connect_timeout_s = connect_timeout_s
        self._find_node = find_node
        self._owe = owe
        self._heard_at: dict[Node, float] = {}
        self._tidied: set[Node] = set()
        self._epoch = 0

    def start(self, node: Node) -> None:
        """Begin to bring *node* back, unless somebody is at it."""
        now = time.monotonic()
        if now - self._heard_at.get(node, -LOST_S) < LOST_S:
            return
        self._heard_at[node] = now
        self.beside(f"memcached {node.name}", partial(self._bring_back, node, self._epoch))

    def beside(self, name: str, work: Callable[[Any, Callable[[float], object]], None]) -> None:
        """Let *work* run beside the caller; it is given a module of sockets and a function that waits."""
        if find_hub() is not None:
            import gevent
            from gevent import socket as gevent_socket

            gevent.spawn(work, gevent_socket, gevent.sleep)
        else:
            import socket

            threading.Thread(target=work, args=(socket, time.sleep), name=name, daemon=True).start()

    def tidy(self, node: Node) -> None:
        """Begin to remove what is dirty on *node* while it is in use, unless somebody is at it."""
        if node not in self._tidied and node.may_read:
            self._tidied.add(node)
            self.beside(f"memcached {node.name} tidied", partial(self._tidy, node, self._epoch))

    def stop(self) -> None:
        """Let all probers end, also in a child that has none; a request that goes past a node starts one again."""
        self._epoch += 1
        self._heard_at.clear()
        self._tidied.clear()

    def _bring_back(self, node: Node, epoch: int, sockets: Any, sleep: Callable[[float], object]) -> None:
        try:
            while epoch == self._epoch and not node.may_read and self._find_node(node.name) is node:
                now = time.monotonic()
                self._heard_at[node] = now
                wait_s = node.breaker.next_probe_at - now
                if wait_s > 0:
                    sleep(min(wait_s, 1.0))
                else:
                    self._probe(node, sockets, sleep)
        finally:
            if epoch == self._epoch:
                self._heard_at.pop(node, None)

    def _probe(self, node: Node, sockets: Any, sleep: Callable[[float], object]) -> None:
        """Ask once; when the node has proved itself, clean it and use it."""
        try:
            with Dialogue(node.address, sockets, self._connect_timeout_s) as dialogue:
                dialogue.ask(requests.line(b"version"), PROBE_S)
                if node.breaker.probed(True, time.monotonic()) and self._has_seen_off(node):
                    node.meet(dialogue.ask(requests.stats(), ANSWER_S))
                    self._call_back_copies(node)
                    self._clean(node, dialogue, sleep)
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

    def _call_back_copies(self, node: Node) -> None:
        """Let writes reach *node*, once all that lived elsewhere meanwhile is dirty there."""
        while not node.may_write:
            copies, flooded = node.begin_return()
            by_name: dict[str, list[bytes]] = {name: [] for name in flooded}
            for key, name in copies:
                by_name.setdefault(name, []).append(key)
            for name, keys in by_name.items():
                self._owe(name, keys, name in flooded)

    def _clean(self, node: Node, dialogue: Dialogue, sleep: Callable[[float], object]) -> None:
        """Remove all that is dirty and use the node; OSError leaves it dirty."""
        while not node.end_return():
            self._heard_at[node] = time.monotonic()
            if not self._remove(node, dialogue):
                sleep(TURN_S)  # somebody who tidied it when it went away is not through
            if node.leaving or not node.may_write:  # it broke again meanwhile
                raise ConnectionResetError("lost while it was cleaned")

    def _remove(self, node: Node, dialogue: Dialogue) -> bool:
        """Remove a part of what is dirty; return whether there was any."""
        with node.lock:
            settled, load = node.settled, node.journal.take(BATCH)
        began = time.monotonic()
        try:
            if load.overflowed:
                dialogue.ask(requests.line(b"flush_all"), ANSWER_S)
            if load.keys:
                dialogue.ask(requests.delete_many(load.keys), ANSWER_S)
        except BaseException:
            with node.lock:
                node.journal.put_back(load)
            raise
        with node.lock:
            settled.update(dict.fromkeys(load.keys, began))
            for key in list(islice(settled, max(len(settled) - MOST_SETTLED, 0))):
                del settled[key]  # who asks for it has it removed once more
            node.journal.settle(load)
        return load.overflowed or bool(load.keys)

    def _tidy(self, node: Node, epoch: int, sockets: Any, sleep: Callable[[float], object]) -> None:
        """Remove what is dirty on a node that is in use; if that fails it is away, with its journal."""
        try:
            with Dialogue(node.address, sockets, self._connect_timeout_s) as dialogue:
                while epoch == self._epoch and node.may_read and self._find_node(node.name) is node:
                    if not self._remove(node, dialogue):
                        break
        except OSError:
            node.broke("lost", ())
        finally:
            if epoch == self._epoch:
                self._tidied.discard(node)
