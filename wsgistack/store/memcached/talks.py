"""Calls over connections that rest, for threads: all is sent, then all is read, in one go.

What needs more than that (a connection to be opened, a server that does not take or answer all at
once, one that does not speak the meta protocol) is only begun here, and left to `plain`.

`wsgistack.store.memcached.talks_cy` is the compiled twin of this module; `plain` picks one.
"""

from __future__ import annotations

import _socket
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from wsgistack.store.keys import WireKey
from wsgistack.store.memcached import hubs, sockets
from wsgistack.store.memcached.calls import expect
from wsgistack.store.memcached.health import TURNS, Turns
from wsgistack.store.memcached.nodes import Node
from wsgistack.store.memcached.singles import find_plain, make_get
from wsgistack.store.memcached.wire import Call, Replies

if TYPE_CHECKING:
    from wsgistack.store.memcached.cluster import Cluster

__all__ = ["CHANGE", "IDLE_CHECK_S", "Connection", "Rest", "Trouble", "ask", "set_limit", "talk"]

PORTION = 65_536
IDLE_CHECK_S = 1.0  # a connection that rested longer is looked at before it is used
CHANGE = 0.25  # of the patience, before the socket's own limit follows


class Trouble(Exception):
    """The connection is of no use; the argument is a word of nodes.FAILURES."""


class Connection:
    """One connection and what is expected on it."""

    __slots__ = ("__weakref__", "calls", "is_late", "limit_s", "replies", "rested_at", "sock")

    def __init__(self, sock: _socket.socket, limit_s: float) -> None:
        self.sock = sock
        self.replies = Replies()
        self.calls: deque[Call] = deque()  # not answered yet
        self.limit_s = limit_s
        self.rested_at = 0.0  # 0 while somebody uses it
        self.is_late = False  # a turn of waiting for its answers was in vain

    def receive(self) -> int:
        """Read a portion; return how many calls it ended.

        BlockingIOError: nothing came within the socket's limit.  Trouble, OSError: it is of no use.
        """
        if self.replies.fault is not None and self.calls:
            raise Trouble("garbage")
        data = self.sock.recv(PORTION)
        if not data:
            raise Trouble("lost")
        answers = self.replies.receive(data)
        for answer in answers:
            self.calls.popleft().finish(answer, None)
        if self.replies.fault is not None and self.calls:
            raise Trouble("garbage")
        return len(answers)


class Rest(Protocol):
    """Where the connections of a node rest.  Threads use the lists without a lock, one step at a time."""

    resting: list[Connection]
    interrupted: list[Any]
    waiting: int  # how many threads wait for one of them

    def let_in(self) -> None:
        """Tell one who waits that there is one."""
        ...


def set_limit(connection: Connection, patience_s: float, left_s: float) -> None:
    """Let a receive on *connection* end after a turn of the shorter of both."""
    connection.limit_s = max(min(patience_s, left_s), 0.0)
    sockets.limit(connection.sock, Turns(connection.limit_s).turn_s)


def talk(
    rests: Mapping[Node, Rest],
    pairs: Sequence[tuple[Node, Call]],
    under_way: dict[Node, tuple[Any, Connection]],
    due_at: float,
) -> tuple[int, bytes]:
    """Make calls, as far as nothing is in the way; return how many were begun, and what the last one has yet to send.

    *under_way* is given (rest, connection) of each node with which something was begun, and rid of
    those whose calls are over.  *due_at*: when the caller wants to have its answers.
    """
    now = time.monotonic()
    for number, (node, call) in enumerate(pairs):
        if (
            not node.may_write
            or node.is_classic
            or (node not in under_way and not _find(rests, node, under_way, now))
        ):
            return number, b""
        connection = under_way[node][1]
        patience_s, left_s = node.patience.seconds, due_at - now
        if abs(patience_s - connection.limit_s) > CHANGE * connection.limit_s or left_s < connection.limit_s:
            set_limit(connection, patience_s, left_s)
        call.started_at = now
        expect(connection.replies, call)
        connection.calls.append(call)
        rest = _send(connection, call.payload)
        if rest:
            return number + 1, rest
    _read(under_way)
    return len(pairs), b""


def _find(
    rests: Mapping[Node, Rest], node: Node, under_way: dict[Node, tuple[Any, Connection]], now: float
) -> bool:
    """Put a connection that rested for a short time into *under_way*; return False if there is none."""
    rest = rests.get(node)
    if rest is None or rest.interrupted:
        return False
    try:
        connection = rest.resting.pop()
    except IndexError:
        return False
    if now - connection.rested_at >= IDLE_CHECK_S:
        rest.resting.append(connection)
        return False
    connection.rested_at = 0.0
    under_way[node] = (rest, connection)
    return True


def _send(connection: Connection, payload: bytes) -> bytes:
    """Send the request as far as the kernel takes it; return the rest."""
    try:
        sent = connection.sock.send(payload, _socket.MSG_DONTWAIT)
    except OSError:  # whoever sends the rest meets it again
        sent = 0
    return payload[sent:]


def _read(under_way: dict[Node, tuple[Any, Connection]]) -> None:
    """Read the answers that come without delay and in order."""
    for node in list(under_way):
        rest, connection = under_way[node]
        while connection.calls:
            started_at = connection.calls[0].started_at
            try:
                count = connection.receive()
            except BlockingIOError:
                connection.is_late = True
                return
            except (Trouble, OSError):  # whoever reads on meets it again
                return
            took_s = time.monotonic() - started_at
            if count:
                node.patience.answered(took_s)
                node.counters.latency.add(took_s)
                node.counters.calls += count
            elif took_s > connection.limit_s / TURNS:
                return
        if connection.replies.fault is not None:
            return
        connection.rested_at = time.monotonic()
        rest.resting.append(connection)
        del under_way[node]
        if rest.waiting:
            rest.let_in()


def ask(
    cluster: Cluster, made: dict[Any, WireKey], large: set[bytes], name: Any
) -> bytes | tuple[Node, Call] | None:
    """Do what `direct.ask` does, for threads."""
    wire = made.get(name)
    hub, lane = cluster.lanes.last
    if wire is None or wire.full is not None or hub is not None or hubs.find() is not None:
        return None
    key = wire.wire
    node = cluster.snapshot.known.get(key)
    if node is None or not node.may_read or (large and key in large):
        return None
    call = make_get(key)
    lane.run(((node, call),))
    value = find_plain(call.answer)
    if value is None:
        return node, call
    node.counters.hits += 1
    return value
