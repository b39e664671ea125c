"""A connection to one node that all greenlets of one hub share.

It carries the requests of every greenlet, in order, and answers come back in that order.  What
greenlets ask for in one turn of the loop leaves in one send.  A greenlet that stops waiting leaves
its request on the connection; the answer is read and dropped.  The calls themselves pass through
its `channel`; here is what happens to it as a whole.

Everything here belongs to one hub and its thread, and runs either in the hub or in the greenlet
that asks.  A greenlet is only ever switched to from the hub.
"""

from __future__ import annotations

import _socket
import sys
import time
from collections.abc import Callable
from itertools import takewhile
from typing import Any

from gevent import getcurrent, spawn
from gevent import socket as gevent_socket

from wsgistack.store.memcached import sockets
from wsgistack.store.memcached.calls import Call
from wsgistack.store.memcached.dialogue import ask_dialect, open_socket
from wsgistack.store.memcached.gauges import LEAST_PATIENCE_S
from wsgistack.store.memcached.health import LATE_S
from wsgistack.store.memcached.nodes import WRITES, Node

try:
    from wsgistack.store.memcached.channel_cy import Channel
except ImportError:  # there was no C compiler: the same calls at twice the cost
    from wsgistack.store.memcached.channel import Channel

__all__ = ["Channel", "Link"]

READ, WRITE = 1, 2
MOST_UNSENT = 4 * 1024 * 1024  # bytes that wait for the kernel before askers wait too
MOST_UNANSWERED = 20_000
LEAST_TICK_S = 0.001


class Link:
    """One connection to one node, opened when first needed."""

    def __init__(
        self, hub: Any, node: Node, connect_timeout_s: float, run_classic: Callable[[Node, Call], None]
    ) -> None:
        self.node = node
        self.channel = Channel(hub, node, self, most_bytes=MOST_UNSENT, most_calls=MOST_UNANSWERED)
        self._run_classic = run_classic
        self._hub = hub
        self._loop = hub.loop
        self._connect_timeout_s = connect_timeout_s
        self._is_connecting = False
        self._reader: Any = None
        self._writer: Any = None
        self._timer: Any = None
        self._parked: list[Callable[[], object]] = []

    @property
    def is_busy(self) -> bool:
        """True if a request is under way."""
        return len(self.channel) > 0

    def carries(self, keys: list[bytes]) -> bool:
        """Return whether a request for one of *keys* is under way."""
        return any(key in call.keys for call in self.channel.calls() for key in keys)

    def park(self, wait: Callable[[], None]) -> None:
        """Wait by *wait* until there is room again or nothing left to wait for."""
        wake = getcurrent().switch
        self._parked.append(wake)
        self.channel.has_parked = True
        try:
            while self.channel.is_full and wake in self._parked:
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

    def connect_soon(self) -> None:
        """Open the connection, if nobody does so yet."""
        if not self._is_connecting:
            self._is_connecting = True
            spawn(self._connect)

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
            self.fail("timeout" if isinstance(error, TimeoutError) else "refused", None)
            return
        if self.node.is_classic:
            sock.close()
            self._is_connecting = False
            self._hand_over()
            return
        family = sock.family
        sockets.tune(sock, family)
        self._is_connecting = False
        opened = _socket.socket(fileno=sock.detach())
        opened.setblocking(False)
        self.node.counters.connects += 1
        self._reader = self._loop.io(opened.fileno(), READ)
        self._reader.start(self.channel.read)
        self.channel.open(opened)

    def _hand_over(self) -> None:
        """Let the other client make the calls that came before it was known to be needed."""
        calls = self.channel.take()
        self._detach()
        for call in calls:
            spawn(self._run_classic, self.node, call)

    # -- room ------------------------------------------------------------------------

    def wait_for_room(self) -> None:
        """Flush when the kernel takes more."""
        assert self.channel.sock is not None
        self._writer = self._loop.io(self.channel.sock.fileno(), WRITE)
        self._writer.start(self._on_writable)

    def all_sent(self) -> None:
        """Look no longer whether the kernel takes more."""
        self._writer.stop()
        self._writer.close()
        self._writer = None

    def _on_writable(self) -> None:
        if self.channel.sock is not None:
            self.channel.heard_at = time.monotonic()  # a server that reads is alive
            self.channel.flush()
            self.unpark()

    def unpark(self) -> None:
        """Let those go on for whom there is room."""
        while self._parked and not self.channel.is_full:
            self._wake(self._parked.pop(0))
        self.channel.has_parked = bool(self._parked)

    # -- time ------------------------------------------------------------------------

    def watch(self, seconds: float) -> None:
        """Look in *seconds* whether the oldest call waits for too long."""
        if self._timer is not None:  # somebody who was woken asked for more
            return
        seconds = min(max(seconds, LEAST_TICK_S), LEAST_PATIENCE_S)  # patience may shrink meanwhile
        timer = self._loop.timer(seconds)
        timer.start(self._on_tick, update=True)
        self._timer = (timer, time.monotonic() + seconds)
        self.channel.is_watched = True

    def _on_tick(self) -> None:
        """Look whether the oldest call waits for too long; a late look does not count against it."""
        timer, due_at = self._timer
        timer.close()
        self._timer = None
        channel = self.channel
        channel.is_watched = False
        if not len(channel):
            return
        now = time.monotonic()
        lateness_s = now - due_at
        if lateness_s > LEAST_TICK_S and channel.sock is not None:
            channel.read()  # we were held up ourselves: what came meanwhile is not late
            if not len(channel):
                return
        calls = channel.calls()
        if lateness_s > LATE_S:
            self._forgive(calls, lateness_s, now)
            lateness_s = 0.0
        patience = self.node.patience
        quiet_since = max(calls[0].started_at, channel.heard_at)
        left_s = quiet_since + patience.seconds - now + max(lateness_s, 0.0)
        if self._is_connecting:
            left_s = max(left_s, LEAST_TICK_S)  # connecting has its own limit
        late = list(takewhile(lambda call: call.started_at <= now - patience.limit_s, calls))
        if left_s <= 0 or any(call.verb in WRITES for call in late):
            # Nobody may be told that a write failed while it can still take effect on a node in use.
            self.fail("timeout", channel.sock)
            return
        self.watch(left_s)
        for call in late:  # the server is busy answering; these have waited long enough
            self._end(call, "timeout")

    def _forgive(self, calls: list[Call], seconds: float, now: float) -> None:
        """Wait as if *seconds* had not passed, in which neither we nor, perhaps, the server ran."""
        self.channel.heard_at = min(self.channel.heard_at + seconds, now)
        for call in calls:
            call.started_at = min(call.started_at + seconds, now)

    # -- the end ---------------------------------------------------------------------

    def fail(self, failure: str, sock: _socket.socket | None) -> None:
        """The connection over *sock* is of no use; runs in the hub or in the connecting greenlet."""
        if sock is not self.channel.sock:  # it was given up before this turn of the loop
            return
        lost = self.channel.calls()
        was_idle = not lost
        self._detach()
        leaving = None
        if sock is not None:
            if failure == "timeout" and sockets.half_close(sock):
                leaving = sock
            else:
                sock.close()
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
        self.channel.is_watched = False
        return self.channel.detach()

    def _end_all(self, failure: str) -> None:
        calls = self.channel.take()
        if self._hub.loop is None:  # the hub was destroyed, and nobody waits in it any more
            return
        if calls:
            self._loop.run_callback(self._end_calls, calls, failure)
        for wake in self._parked:
            self._loop.run_callback(self._wake_parked, wake)

    def _end_calls(self, calls: list[Call], failure: str) -> None:
        for call in calls:
            self._end(call, failure)

    def _end(self, call: Call, failure: str) -> None:
        try:
            call.finish(None, failure)
        except BaseException:  # noqa: BLE001 - see channel.read
            self._report()

    def _wake_parked(self, wake: Callable[[], object]) -> None:
        if wake in self._parked:
            self._parked.remove(wake)
            self._wake(wake)

    def _wake(self, wake: Callable[[], object]) -> None:
        try:
            wake()
        except BaseException:  # noqa: BLE001 - see channel.read
            self._report()

    def _report(self) -> None:
        self._hub.handle_error(self, *sys.exc_info())
