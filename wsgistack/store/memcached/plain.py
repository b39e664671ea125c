"""Calls over blocking sockets: for threads and for programs without gevent.

A thread has a connection for itself while it waits.  All requests are sent before any answer is
read.  A call that is interrupted (KeyboardInterrupt, an exception out of a signal handler) gives
its connection up: whoever uses the node next waits until the server has read all of it, so that
what was sent cannot take effect behind what is sent then.
"""

from __future__ import annotations

import _socket
import select
import socket
import time
import weakref
from collections.abc import Sequence
from threading import Condition

from wsgistack import forks
from wsgistack.store.memcached import sockets
from wsgistack.store.memcached.calls import Call, expect
from wsgistack.store.memcached.classic import Classic
from wsgistack.store.memcached.deadlines import due
from wsgistack.store.memcached.dialogue import ask_dialect
from wsgistack.store.memcached.health import Turns
from wsgistack.store.memcached.nodes import WRITES, Node
from wsgistack.store.memcached.talks import CHANGE, IDLE_CHECK_S, Trouble, set_limit

try:
    from wsgistack.store.memcached.talks_cy import Connection, ask, talk
except ImportError:  # there was no C compiler: the same calls at twice the cost
    from wsgistack.store.memcached.talks import Connection, ask, talk

__all__ = ["Connection", "Plain", "Pool", "ask", "talk"]

MOST_CONNECTIONS = 64  # per node and process; more threads than that wait


class Pool:
    """The connections of one node.  Resting ones are taken and given back without a lock."""

    def __init__(self, node: Node, connect_timeout_s: float) -> None:
        self.node = node
        self._connect_timeout_s = connect_timeout_s
        self.resting: list[Connection] = []
        self.interrupted: list[_socket.socket] = []
        self.waiting = 0  # how many threads wait for one that rests
        self._alive: weakref.WeakSet[Connection] = weakref.WeakSet()  # a lost one leaves by itself
        self._room = Condition()

    def take(self, patience_s: float) -> Connection:
        """Return a connection that nothing is expected on; OSError if there is none in time."""
        while self.interrupted:
            self._finish_interrupted()
        while True:
            try:
                connection = self.resting.pop()
            except IndexError:
                return self._open(patience_s)
            rested_at, connection.rested_at = connection.rested_at, 0.0
            if time.monotonic() - rested_at < IDLE_CHECK_S or not _has_news(connection.sock):
                return connection
            connection.sock.close()  # the server closed it while it rested

    def give_back(self, connection: Connection) -> None:
        """Let *connection* rest; nothing may be expected on it."""
        connection.rested_at = time.monotonic()
        self.resting.append(connection)
        if self.waiting:
            self.let_in()

    def let_in(self) -> None:
        """Tell one who waits that a connection rests."""
        with self._room:
            self._room.notify()

    def give_up(self, connection: Connection) -> None:
        """Never use *connection* again, and let nobody overtake what was sent over it."""
        if connection.rested_at:  # it was given back before the interruption
            return
        if sockets.half_close(connection.sock):
            self.interrupted.append(connection.sock)
        else:
            connection.sock.close()

    def close(self) -> None:
        """Close what rests."""
        while self.resting:
            self.resting.pop().sock.close()
        while self.interrupted:
            self.interrupted.pop().close()

    def forked(self) -> None:
        """Close our copies of all connections, those in use by the parent's threads too; it notices nothing."""
        for connection in list(self._alive):
            connection.sock.close()
        for sock in list(self.interrupted):
            sock.close()

    def _finish_interrupted(self) -> None:
        try:
            sock = self.interrupted.pop(0)
        except IndexError:  # another thread was quicker
            return
        patience_s = self.node.patience.seconds
        left_s = due.at - time.monotonic()
        try:
            has_ended = sockets.wait_for_end(sock, min(patience_s, left_s))
        except BaseException:  # interrupted again: the next call still waits for what was sent
            self.interrupted.append(sock)
            raise
        if has_ended:
            sock.close()
        elif left_s < patience_s:
            self.interrupted.append(sock)
            due.check()
        else:
            self.node.broke("timeout", (), sock)
            raise TimeoutError(f"{self.node.name} does not read what an interrupted call sent")

    def _open(self, patience_s: float) -> Connection:
        deadline = time.monotonic() + patience_s
        while len(self._alive) >= MOST_CONNECTIONS:
            with self._room:
                self.waiting += 1
                self._room.wait(min(0.01, patience_s))
                self.waiting -= 1
            if self.resting:
                return self.take(patience_s)
            if time.monotonic() > deadline:
                raise BlockingIOError("all connections are taken")
        sock = sockets.connect(self.node.address, self._connect_timeout_s)
        self.node.counters.connects += 1
        if self.node.is_classic is None:
            self._ask_dialect(sock)
        connection = Connection(sock, 0.0)
        self._alive.add(connection)
        return connection

    def _ask_dialect(self, sock: _socket.socket) -> None:
        try:
            self.node.is_classic = ask_dialect(sock, self._connect_timeout_s) == "classic"
            sock.settimeout(None)
        except TimeoutError:
            sock.close()
            raise TimeoutError(f"{self.node.name} does not say what it speaks") from None
        except BaseException:
            sock.close()
            raise


def _has_news(sock: _socket.socket) -> bool:
    """Return whether something can be read: of a resting connection, that it is of no use any more."""
    poller = select.poll()
    poller.register(sock.fileno(), select.POLLIN)
    return bool(poller.poll(0))


class Plain:
    """Makes calls for threads.  Safe in any thread; one object per ring."""

    def __init__(self, *, connect_timeout_s: float) -> None:
        self._connect_timeout_s = connect_timeout_s
        self._pools: dict[Node, Pool] = {}
        self._classics: dict[Node, Classic] = {}
        forks.register(self)

    def run(self, pairs: Sequence[tuple[Node, Call]]) -> None:
        """Make all calls, those of one node in order; each has its answer or its failure afterwards."""
        under_way: dict[Node, tuple[Pool, Connection]] = {}
        try:
            begun, rest = talk(self._pools, pairs, under_way, due.at)
            if rest:
                self._send_on(pairs[begun - 1][0], rest, under_way)
            for node, call in pairs[begun:]:
                self._start(node, call, under_way)
            while under_way:
                node = next(iter(under_way))
                self._finish(*under_way[node])
                del under_way[node]
        except BaseException:
            for pool, connection in under_way.values():
                pool.give_up(connection)
            raise

    def run_one(self, node: Node, call: Call) -> None:
        """Do what `run` does, for one call."""
        self.run(((node, call),))

    def post(self, node: Node, call: Call) -> None:
        """Make a call whose answer does not matter."""
        self.run([(node, call)])

    def close(self) -> None:
        """Close the resting connections; those in use close when their calls end."""
        for node in [*self._pools, *self._classics]:
            self.forget(node)

    def forget(self, node: Node) -> None:
        """Close the connections of a node that left the ring."""
        for one in (self._pools.pop(node, None), self._classics.pop(node, None)):
            if one is not None:
                one.close()

    def forked(self) -> None:
        """Begin without connections: they are the parent's."""
        pools, self._pools = self._pools, {}
        for pool in pools.values():
            pool.forked()
        for classic in list(self._classics.values()):
            classic.close()
        self._classics = {}

    def _start(self, node: Node, call: Call, under_way: dict[Node, tuple[Pool, Connection]]) -> None:
        """Send the request of one call."""
        call.started_at = time.monotonic()
        if node.passes(call):
            call.finish(None, "down")
            return
        if node.is_classic:
            self._run_classic(node, call)
            return
        if node not in under_way and not self._open(node, call, under_way):
            return
        connection = under_way[node][1]
        patience_s, left_s = node.patience.seconds, due.at - call.started_at
        if abs(patience_s - connection.limit_s) > CHANGE * connection.limit_s or left_s < connection.limit_s:
            set_limit(connection, patience_s, left_s)
        expect(connection.replies, call)
        connection.calls.append(call)
        self._send_on(node, call.payload, under_way)

    def _send_on(self, node: Node, rest: bytes, under_way: dict[Node, tuple[Pool, Connection]]) -> None:
        """Send the *rest* of a request."""
        pool, connection = under_way[node]
        try:
            _send(connection, rest)
        except (Trouble, OSError) as trouble:
            failure = _name_failure(trouble)
            del under_way[node]
            _give_up(pool, connection, failure)

    def _open(self, node: Node, call: Call, under_way: dict[Node, tuple[Pool, Connection]]) -> bool:
        """Take a connection; return False where there is none, or another client is needed."""
        pool = self._pools.get(node)
        if pool is None:
            pool = self._pools.setdefault(node, Pool(node, self._connect_timeout_s))
        try:
            connection = pool.take(node.patience.limit_s)
        except BlockingIOError:
            if call.verb in WRITES:  # what it would have replaced or removed must not be read
                node.broke("busy", [call])
            call.finish(None, "busy")
            return False
        except OSError as error:
            failure = "timeout" if isinstance(error, TimeoutError) else "refused"
            node.broke(failure, [call])
            call.finish(None, failure)
            return False
        if node.is_classic:  # this connection has just told
            connection.sock.close()
            self._run_classic(node, call)
            return False
        under_way[node] = (pool, connection)
        return True

    def _run_classic(self, node: Node, call: Call) -> None:
        classic = self._classics.get(node)
        if classic is None:
            classic = Classic(
                node.address,
                socket,
                timeout_s=node.patience.limit_s,
                connect_timeout_s=self._connect_timeout_s,
            )
            classic = self._classics.setdefault(node, classic)
        classic.run(call)
        if call.failure is not None:
            node.broke(call.failure, [call])

    def _finish(self, pool: Pool, connection: Connection) -> None:
        """Read until all answers are there."""
        try:
            while connection.calls:
                _await_answer(connection, pool.node)
        except (Trouble, OSError) as trouble:
            _give_up(pool, connection, _name_failure(trouble))
            return
        if connection.replies.fault is None:
            pool.give_back(connection)
        else:
            connection.sock.close()
            pool.node.broke("garbage", ())


def _name_failure(trouble: Exception) -> str:
    """Return the word of nodes.FAILURES; StoreDown where it is the caller who waits no longer, not the node's fault."""
    if str(trouble) == "timeout" or isinstance(trouble, BlockingIOError | TimeoutError):
        due.check()
        return "timeout"
    return str(trouble) if isinstance(trouble, Trouble) else "lost"


def _give_up(pool: Pool, connection: Connection, failure: str) -> None:
    lost = list(connection.calls)
    if failure == "timeout" and sockets.half_close(connection.sock):
        pool.node.broke(failure, lost, connection.sock)
    else:
        connection.sock.close()
        pool.node.broke(failure, lost)
    for call in lost:
        call.finish(None, failure)


def _send(connection: Connection, payload: bytes) -> None:
    """Send the request, reading what comes meanwhile: the server may stop reading until we read."""
    sock = connection.sock
    try:
        sent = sock.send(payload, _socket.MSG_DONTWAIT)
    except BlockingIOError:
        sent = 0
    if sent == len(payload):
        return
    rest = memoryview(payload)[sent:]
    poller = select.poll()
    poller.register(sock.fileno(), select.POLLIN | select.POLLOUT)
    turns = Turns(connection.limit_s)
    while rest:
        since = time.monotonic()
        ready = poller.poll(turns.turn_s * 1000)
        if not ready:
            now = time.monotonic()
            if now >= due.at or turns.passed(now - since):
                raise Trouble("timeout")
            continue
        turns = Turns(connection.limit_s)
        events = ready[0][1]
        if events & ~select.POLLOUT:
            connection.receive()
        if events & select.POLLOUT:
            rest = rest[sock.send(rest, _socket.MSG_DONTWAIT) :]


def _await_answer(connection: Connection, node: Node) -> None:
    """Read until the next call is answered, and take note of how long that took."""
    since = started_at = connection.calls[0].started_at
    turns: Turns | None = None
    waited_s = 0.0
    while True:
        try:
            count = -1 if connection.is_late else connection.receive()
        except BlockingIOError:
            count = -1
        connection.is_late = False
        now = time.monotonic()
        if count > 0:
            node.patience.answered(now - started_at)
            node.counters.latency.add(now - started_at)
            node.counters.calls += count
            return
        if turns is None or count == 0:  # what comes in portions is slow, and alive
            turns = Turns(connection.limit_s)
        waited_s += min(now - since, turns.turn_s)
        is_over = turns.passed(now - since) if count < 0 else waited_s > node.patience.limit_s
        if now >= due.at or (is_over and due.at - now > turns.turn_s):  # else its caller's deadline ends it
            raise Trouble("timeout")
        since = now
