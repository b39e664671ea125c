"""What all calls of a connection pass through: out in order, answers in the same order, and whoever waits is woken.

The rest of a connection, which is opening, waiting for room, losing patience and ending, is its
*owner*'s (`links`).  A channel without a socket collects what is asked until there is one.

A server on this machine answers while who asked gives it a turn of the processor, so the first
look for an answer costs no turn of the loop: a *glance*, made only while nobody else waits for one.

Everything runs in one hub and its thread.  A call is never taken back: a greenlet that stops
waiting leaves it here, and its answer is read and goes to nobody.
"""

from __future__ import annotations

import _socket
import os
import sys
import time
from collections import deque
from typing import Any, Protocol

from gevent import getcurrent

from wsgistack.store.memcached.calls import Call, expect
from wsgistack.store.memcached.nodes import Node
from wsgistack.store.memcached.wire import Replies

__all__ = ["Channel", "Owner"]

PORTION = 65_536
MOST_GLANCES = 32  # that find an answer, one after another, before the loop has its turn: about 1 ms
MOST_LUCK = 8  # glances in vain before only each of GLANCE_EVERY is tried: the server is far
GLANCE_EVERY = 64
LATE_GLANCE_S = 0.001  # who gave up the processor for longer shares it with somebody busy


class Owner(Protocol):
    """Whose channel it is."""

    def connect_soon(self) -> None:
        """Open the connection; somebody asks for something."""
        ...

    def watch(self, seconds: float) -> None:
        """Look in *seconds* whether answers are late."""
        ...

    def fail(self, failure: str, sock: _socket.socket | None) -> None:
        """The connection over *sock* is of no use any more."""
        ...

    def wait_for_room(self) -> None:
        """Flush when the kernel takes more."""
        ...

    def all_sent(self) -> None:
        """Nothing waits for the kernel any more, after `wait_for_room`."""
        ...

    def unpark(self) -> None:
        """Let those go on who waited for answers or room."""
        ...


class Channel:
    """The calls of one connection; *hub* is where its greenlets wait.

    It is full with more than *most_bytes* that wait for the kernel, or more than *most_calls* that
    wait for an answer.
    """

    __slots__ = (
        "_due",
        "_glances",
        "_hub",
        "_hurried_in",
        "_is_corked",
        "_is_last",
        "_is_stuck",
        "_late_glance_s",
        "_loop",
        "_luck",
        "_most_bytes",
        "_most_calls",
        "_node",
        "_out",
        "_owner",
        "_replies",
        "_sent",
        "_skipped",
        "_turn",
        "connected_at",
        "has_parked",
        "heard_at",
        "is_watched",
        "out_bytes",
        "sock",
    )

    def __init__(
        self,
        hub: Any,
        node: Node,
        owner: Owner,
        *,
        most_bytes: int,
        most_calls: int,
        late_glance_s: float = LATE_GLANCE_S,
    ) -> None:
        self.sock: _socket.socket | None = None
        self.connected_at = 0.0
        self.heard_at = 0.0
        self.out_bytes = 0  # that wait for the kernel
        self.is_watched = False  # the owner looks whether answers are late
        self.has_parked = False  # the owner knows of somebody who waits for answers or room
        self._hub = hub
        self._loop = hub.loop
        self._due = getattr(hub.loop, "_callbacks", None)  # whose turn it is; gevent offers no other way
        self._luck = MOST_LUCK
        self._late_glance_s = late_glance_s
        self._turn = -1  # of the loop, in which there were so many:
        self._glances = 0
        self._hurried_in = -1  # the turn in which a lease looked before others whose turn it was
        self._skipped = 0
        self._node = node
        self._owner = owner
        self._replies = Replies()
        self._sent: deque[Call] = deque()  # and not answered yet
        self._out: list[bytes] = []
        self._is_corked = False  # the end of what runs will flush
        self._is_last = False  # of those that were answered together, the last one runs
        self._is_stuck = False  # the kernel took not all: the owner flushes
        self._most_bytes = most_bytes
        self._most_calls = most_calls

    @property
    def is_full(self) -> bool:
        """True if whoever asks should wait until something was sent and answered."""
        return self.out_bytes > self._most_bytes or len(self._sent) > self._most_calls

    def __len__(self) -> int:
        return len(self._sent)

    def calls(self) -> list[Call]:
        """Return the calls that are not answered yet, the oldest first."""
        return list(self._sent)

    def carry(self, call: Call) -> None:
        """Submit *call* and wait in the running greenlet until it is over."""
        self.submit(call)
        if self._may_glance(call) and self._glance(call):
            return
        hub = self._hub
        call.wake = getcurrent().switch
        try:
            while call.wake is not None:
                hub.switch()
        finally:
            call.wake = None

    def submit(self, call: Call) -> None:
        """Send *call* with whatever else this turn of the loop asks for; it ends by itself."""
        if self.sock is None:
            self._owner.connect_soon()
        expect(self._replies, call)
        call.started_at = time.monotonic()
        was_quiet = not self._sent
        self._sent.append(call)
        self._out.append(call.payload)
        self.out_bytes += len(call.payload)
        if not self.is_watched:
            self._owner.watch(self._node.patience.seconds)
        if self.sock is None or (self._is_corked and not (self._is_last and was_quiet)):
            return
        if was_quiet:
            self.flush()
        else:
            self._is_corked = True
            self._loop.run_callback(self._uncork)

    def open(self, sock: _socket.socket) -> None:
        """Use *sock*, which does not block, and send what was asked for meanwhile."""
        self.sock = sock
        self.heard_at = self.connected_at = time.monotonic()
        if self._out:
            self.flush()

    def flush(self) -> None:
        """Send what waits, as far as the kernel takes it."""
        sock = self.sock
        if sock is None:
            return
        out = self._out
        data = out[0] if len(out) == 1 else b"".join(out)
        try:
            sent = sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            # Never in the asker's greenlet: its own wait must be under way first.
            self._loop.run_callback(self._owner.fail, "lost", sock)
            return
        self.out_bytes = len(data) - sent
        if self.out_bytes:
            self._out = [data[sent:]]
            if not self._is_stuck:
                self._is_stuck = True
                self._owner.wait_for_room()
            return
        out.clear()
        if self._is_stuck:
            self._is_stuck = False
            self._owner.all_sent()

    def read(self) -> None:
        """Read what came and end the calls that it answers; their greenlets run in here."""
        sock = self.sock
        if sock is None:
            return
        try:
            data = sock.recv(PORTION)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._owner.fail("lost", sock)
            return
        answers = self._replies.receive(data)
        self.heard_at = time.monotonic()
        if answers:
            calls = [self._sent.popleft() for _ in answers]
            self._note(calls)
            self._is_corked = True
            for call, answer in zip(calls, answers, strict=True):
                self._is_last = call is calls[-1]
                try:
                    call.finish(answer, None)
                except BaseException:  # noqa: BLE001 - of a raw greenlet: it must not stop the others
                    self._hub.handle_error(self, *sys.exc_info())
            self._is_corked = self._is_last = False
        if self._replies.fault is not None:
            self._owner.fail("garbage", sock)
        elif self._out and self.sock is not None:
            self.flush()
        if self.has_parked:
            self._owner.unpark()

    def detach(self) -> _socket.socket | None:
        """Take the socket and forget everything about the connection but the calls."""
        sock, self.sock = self.sock, None
        self._replies = Replies()
        self._out.clear()
        self.out_bytes = 0
        self._is_stuck = False
        return sock

    def take(self) -> list[Call]:
        """Take the calls that are not answered yet."""
        calls, self._sent = list(self._sent), deque()
        return calls

    def _may_glance(self, call: Call) -> bool:
        """Return whether to look for an answer to *call* at once: it is out, wholly and alone, and nobody has to wait.

        While others wait for their turn, one lease may look in a turn of the loop: its answer may
        be what they are about to ask for (see `Flights`).
        """
        if self._due is None or self._is_stuck or self.has_parked or self.sock is None:
            return False
        if len(self._sent) != 1 or (self._is_corked and not self._is_last):
            return False
        if self._out:
            return False
        if self._loop.iteration != self._turn:
            self._turn, self._glances = self._loop.iteration, 0
        if self._due:
            if call.verb != "lease" or self._turn == self._hurried_in:
                return False
            self._hurried_in = self._turn
        if self._glances >= MOST_GLANCES:
            return False
        if self._luck > 0:
            return True
        self._skipped = (self._skipped + 1) % GLANCE_EVERY
        return not self._skipped

    def _glance(self, call: Call) -> bool:
        """Look for the answer to *call*, the only one that is out; return whether it came.

        An end of the connection is left for the loop to find, which may tell the owner.
        """
        assert self.sock is not None
        os.sched_yield()
        try:
            data = self.sock.recv(PORTION)
        except OSError:
            data = b""
        now = time.monotonic()
        self._glances += 1
        if now - call.started_at > self._late_glance_s:
            self._luck = 0
        else:
            self._luck = MOST_LUCK if data else max(self._luck - 1, 0)
        if not data:
            return False
        answers = self._replies.receive(data)
        self.heard_at = now
        if self._replies.fault is not None:
            self._loop.run_callback(self._owner.fail, "garbage", self.sock)
        if not answers:
            return False
        self._note([self._sent.popleft()])
        call.finish(answers[0], None)
        return True

    def _uncork(self) -> None:
        self._is_corked = False
        if self._out and self.sock is not None:
            self.flush()

    def _note(self, calls: list[Call]) -> None:
        """Take note of how long the oldest of *calls* waited, which are answered now."""
        node, started_at = self._node, calls[0].started_at
        if started_at > self.connected_at:
            node.patience.answered(self.heard_at - started_at)
        node.counters.calls += len(calls)
        node.counters.latency.add(self.heard_at - started_at)  # of what came together, the longest
