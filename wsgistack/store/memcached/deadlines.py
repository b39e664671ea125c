"""Calls that end at a deadline wherever they wait: with StoreDown, and the answer that comes later is nobody's.

A greenlet is interrupted by a timer of its hub.  A thread looks at `due`: what waits for a server
waits no longer than that, and gives its connection up.
"""

from __future__ import annotations

import math
import threading
import time
from types import TracebackType
from typing import Any, Self

from wsgistack.errors import StoreDown
from wsgistack.store.memcached import hubs

__all__ = ["Deadline", "due"]

ROUNDING_S = 0.002  # the kernel's limits end a little early now and then
LATE_S = 0.005  # a timer that comes later than that was held up


class _Due(threading.local):
    """When the running thread wants to have its answer.  Time points are those of time.monotonic."""

    at = math.inf

    def check(self) -> None:
        """Raise StoreDown if it is too late."""
        if time.monotonic() >= self.at - ROUNDING_S:
            raise StoreDown("no answer before the deadline of its caller")


due = _Due()


class _Late(BaseException):
    """What interrupts a greenlet; no Exception, so that nothing on the way takes it for an error."""


class Deadline:
    """A block in which all calls together take *seconds* at most; the inner of two may only shorten it."""

    __slots__ = ("_before", "_due_at", "_greenlet", "_late", "_loop", "_seconds", "_timer")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._timer: Any = None  # of the hub, if there is one
        self._before = math.inf

    def __enter__(self) -> Self:
        hub = hubs.find()
        if hub is None:
            self._before = due.at
            due.at = min(due.at, time.monotonic() + self._seconds)
        else:
            from gevent import getcurrent

            self._late = _Late()
            self._greenlet, self._loop = getcurrent(), hub.loop
            self._start(self._seconds)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is None:
            due.at = self._before
            return
        self._timer.close()
        if error is self._late:
            raise StoreDown(f"no answer within {self._seconds:g} s") from None

    def _start(self, seconds: float) -> None:
        self._due_at = time.monotonic() + seconds
        self._timer = self._loop.timer(seconds)
        self._timer.start(self._interrupt, update=True)

    def _interrupt(self) -> None:
        """In the hub: interrupt who waits; what held us up ourselves does not count, an answer may be there."""
        lateness_s = time.monotonic() - self._due_at
        if lateness_s > LATE_S:
            self._timer.close()
            self._start(lateness_s)
        else:
            self._greenlet.throw(self._late)
