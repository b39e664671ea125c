"""A connection to one node that all greenlets of one hub share.

It carries the requests of every greenlet, in order, and answers come back in that order.  What
greenlets ask for in one turn of the loop leaves in one send.  A greenlet that stops waiting leaves
its request on the connection; the answer is read and dropped.

Everything here belongs to one hub and its thread, and runs either in the hub or in the greenlet
that asks.  A greenlet is only ever switched to from the hub.
"""

from __future__ import annotations

import _socket
import sys
import time
from collections import deque
from collections.abc import Callable
from itertools import takewhile
from typing import Any

from gevent import getcurrent, spawn
from gevent import socket as gevent_socket

from wsgistack.store.memcached import sockets
from wsgistack.store.memcached.calls import LINES, Call, expect
from wsgistack.store.memcached.dialogue import ask_dialect, open_socket
from wsgistack.store.memcached.health import LATE_S, LEAST_PATIENCE_S
from wsgistack.store.memcached.nodes import WRITES, Node
from wsgistack.store.memcached.wire import Replies

__all__ = ["Link"]

READ, WRITE = 1, 2
PORTION = 65_536
MOST_UNSENT = 4 * 1024 * 1024  # bytes that wait for the kernel before askers wait too
MOST_UNANSWERED = 20_000
LEAST_TICK_S = 0.001


class Link:
    """One connection to one node, opened when first needed."""

    def __init__(
        self, hub: Any, node: Node, connect_timeout_s: float, run_classic: Callable[[Node, Call], None]
    ) -> None:
        self.node = node
        self._run_classic = run_classic
        self._hub = hub
        self._loop = hub.loop
        self._connect_timeout_s = connect_timeout_s
        self._sock: _socket.socket | None = None
        self._is_connecting = False
        self._replies = Replies()
        self._sent: deque[Call] = deque()  # and not answered yet
        self._out: list[bytes] = []
        self._out_bytes = 0
        self._is_corked = False  # the end of what runs will flush
        self._reader: Any = None
        self._writer: Any = None
        self._timer: Any = None
        self._heard_at = 0.0
        self._connected_at = 0.0
        self._parked: list[Callable[[], object]] = []

    @property
    def is_full(self) -> bool:
        """True if whoever asks should wait until something was sent and answered."""
        return self._out_bytes > MOST_UNSENT or len(self._sent) > MOST_UNANSWERED

    @property
    def is_busy(self) -> bool:
        """True if a request is under way."""
        return bool(self._sent)

    def carries(self, keys: list[bytes]) -> bool:
        """Return whether a request for one of *keys* is under way."""
        return any(key in call.keys for call in self._sent for key in keys)

    def submit(self, call: Call) -> None:
        """Send *call* with whatever else this turn of the loop asks for; it ends by itself."""
        if self._sock is None and not self._is_connecting:
            self._is_connecting = True
            spawn(self._connect)
        if call.kind is LINES:
            self._replies.expect_lines(call.count, call.opaque, call.is_fatal)
        else:
            expect(self._replies, call)
        call.started_at = time.monotonic()
        was_quiet = not self._sent
        self._sent.append(call)
        self._out.append(call.payload)
        self._out_bytes += len(call.payload)
        if self._timer is None:
            self._watch(self.node.patience.seconds)
        if self._is_corked or self._sock is None:
            return
        if was_quiet:
            self._flush()
        else:
            self._is_corked = True
            self._loop.run_callback(self._uncork)

    def park(self, wait: Callable[[], None]) -> None:
        """Wait by *wait* until there is room again or nothing left to wait for."""
        wake = getcurrent().switch
        self._parked.append(wake)
        try:
            while self.is_full and wake in self._parked:
                wait()
        finally:
            if wake in self._parked:
                self._parked.remove(wake)

    def close(self, failure: str = "closed") -> None:
        """Give the connection up; calls on it end with *failure*, in the next turn of the loop."""
        sock = self._detach()
        if sock is not None:
            sock.close()
        self._end_all(failure)

    # -- connecting ------------------------------------------------------------------

    def _connect(self) -> None:
        """Open the connection, in a greenlet of its own."""
        sock = None
        try:
            sock = open_socket(self.node.address, gevent_socket, self._connect_timeout_s)
            if self.node.is_classic is None:
                self.node.is_classic = ask_dialect(sock, self._connect_timeout_s) == "classic"
        except OSError as error:
            if sock is not None:
                sock.close()
            self._is_connecting = False
            self._fail("timeout" if isinstance(error, TimeoutError) else "refused", None)
            return
        if self.node.is_classic:
            sock.close()
            self._is_connecting = False
            self._hand_over()
            return
        family = sock.family
        sockets.tune(sock, family)
        self._is_connecting = False
        self._sock = _socket.socket(fileno=sock.detach())
        self._sock.setblocking(False)
        self.node.counters.connects += 1
        self._heard_at = self._connected_at = time.monotonic()
        self._reader = self._loop.io(self._sock.fileno(), READ)
        self._reader.start(self._on_readable)
        if self._out:
            self._flush()

    def _hand_over(self) -> None:
        """Let the other client make the calls that came before it was known to be needed."""
        calls, self._sent = list(self._sent), deque()
        self._detach()
        for call in calls:
            spawn(self._run_classic, self.node, call)

    # -- writing ---------------------------------------------------------------------

    def _uncork(self) -> None:
        self._is_corked = False
        if self._out and self._sock is not None:
            self._flush()

    def _flush(self) -> None:
        """Send what waits, as far as the kernel takes it."""
        assert self._sock is not None
        out = self._out
        data = out[0] if len(out) == 1 else b"".join(out)
        try:
            sent = self._sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            # Never in the asker's greenlet: its own wait must be under way first.
            self._loop.run_callback(self._fail, "lost", self._sock)
            return
        self._out_bytes = len(data) - sent
        if not self._out_bytes:
            out.clear()
            if self._writer is not None:
                self._writer.stop()
                self._writer.close()
                self._writer = None
            return
        self._out = [data[sent:]]
        if self._writer is None:
            self._writer = self._loop.io(self._sock.fileno(), WRITE)
            self._writer.start(self._on_writable)

    def _on_writable(self) -> None:
        if self._sock is not None:
            self._heard_at = time.monotonic()  # a server that reads is alive
            self._flush()
            self._unpark()

    def _unpark(self) -> None:
        while self._parked and not self.is_full:
            self._wake(self._parked.pop(0))

    # -- reading ---------------------------------------------------------------------

    def _on_readable(self) -> None:
        """Read what came and end the calls that it answers; their greenlets run in here."""
        sock = self._sock
        if sock is None:
            return
        try:
            data = sock.recv(PORTION)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._fail("lost", sock)
            return
        sent = self._sent
        answers = self._replies.receive(data)
        self._heard_at = now = time.monotonic()
        if answers:
            node = self.node
            if sent[0].started_at > self._connected_at:
                node.patience.answered(now - sent[0].started_at)
            node.counters.calls += len(answers)
            node.counters.latency.add(now - sent[0].started_at)  # of what came together, the longest
            self._is_corked = True
            for answer in answers:
                try:
                    sent.popleft().finish(answer, None)
                except BaseException:  # noqa: BLE001 - of a raw greenlet: it must not stop the others
                    self._report()
            self._is_corked = False
        if self._replies.fault is not None:
            self._fail("garbage", sock)
        elif self._out and self._sock is not None:
            self._flush()
        if self._parked:
            self._unpark()

    # -- time ------------------------------------------------------------------------

    def _watch(self, seconds: float) -> None:
        if self._timer is not None:  # somebody who was woken asked for more
            return
        seconds = min(max(seconds, LEAST_TICK_S), LEAST_PATIENCE_S)  # patience may shrink meanwhile
        timer = self._loop.timer(seconds)
        timer.start(self._on_tick, update=True)
        self._timer = (timer, time.monotonic() + seconds)

    def _on_tick(self) -> None:
        """Look whether the oldest call waits for too long; a late look does not count against it."""
        timer, due_at = self._timer
        timer.close()
        self._timer = None
        if not self._sent:
            return
        now = time.monotonic()
        lateness_s = now - due_at
        if lateness_s > LEAST_TICK_S and self._sock is not None:
            self._on_readable()  # we were held up ourselves: what came meanwhile is not late
            if not self._sent:
                return
        if lateness_s > LATE_S:
            self._forgive(lateness_s, now)
            lateness_s = 0.0
        patience = self.node.patience
        quiet_since = max(self._sent[0].started_at, self._heard_at)
        left_s = quiet_since + patience.seconds - now + max(lateness_s, 0.0)
        if self._is_connecting:
            left_s = max(left_s, LEAST_TICK_S)  # connecting has its own limit
        late = list(takewhile(lambda call: call.started_at <= now - patience.limit_s, self._sent))
        if left_s <= 0 or any(call.verb in WRITES for call in late):
            # Nobody may be told that a write failed while it can still take effect on a node in use.
            self._fail("timeout", self._sock)
            return
        self._watch(left_s)
        for call in late:  # the server is busy answering; these have waited long enough
            self._end(call, "timeout")

    def _forgive(self, seconds: float, now: float) -> None:
        """Wait as if *seconds* had not passed, in which neither we nor, perhaps, the server ran."""
        self._heard_at = min(self._heard_at + seconds, now)
        for call in self._sent:
            call.started_at = min(call.started_at + seconds, now)

    # -- the end ---------------------------------------------------------------------

    def _fail(self, failure: str, sock: _socket.socket | None) -> None:
        """The connection over *sock* is of no use; runs in the hub or in the connecting greenlet."""
        if sock is not self._sock:  # it was given up before this turn of the loop
            return
        was_idle = not self._sent
        lost = list(self._sent)
        self._detach()
        leaving = None
        if sock is not None:
            if failure == "timeout" and sockets.half_close(sock):
                leaving = sock
            else:
                sock.close()
        elif not was_idle:
            lost = []  # never connected: nothing of it can have an effect
        if was_idle and failure == "lost" and self.node.may_write:
            # A resting connection that the server closes: look at once whether it is still there.
            self._is_connecting = True
            spawn(self._connect)
            return
        self.node.broke(failure, lost, leaving)
        self._end_all(failure)

    def _detach(self) -> _socket.socket | None:
        """Take the socket and forget everything about the connection but the calls."""
        timer = self._timer[0] if self._timer is not None else None
        for watcher in (self._reader, self._writer, timer):
            if watcher is not None and self._hub.loop is not None:
                watcher.stop()
                watcher.close()
        self._reader = self._writer = self._timer = None
        sock, self._sock = self._sock, None
        self._replies = Replies()
        self._out.clear()
        self._out_bytes = 0
        return sock

    def _end_all(self, failure: str) -> None:
        calls, self._sent = self._sent, deque()
        if self._hub.loop is None:  # the hub was destroyed, and nobody waits in it any more
            return
        if calls:
            self._loop.run_callback(self._end_calls, list(calls), failure)
        for wake in self._parked:
            self._loop.run_callback(self._wake_parked, wake)

    def _end_calls(self, calls: list[Call], failure: str) -> None:
        for call in calls:
            self._end(call, failure)

    def _end(self, call: Call, failure: str) -> None:
        try:
            call.finish(None, failure)
        except BaseException:  # noqa: BLE001 - see _on_readable
            self._report()

    def _wake_parked(self, wake: Callable[[], object]) -> None:
        if wake in self._parked:
            self._parked.remove(wake)
            self._wake(wake)

    def _wake(self, wake: Callable[[], object]) -> None:
        try:
            wake()
        except BaseException:  # noqa: BLE001 - see _on_readable
            self._report()

    def _report(self) -> None:
        self._hub.handle_error(self, *sys.exc_info())
