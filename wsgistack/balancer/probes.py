"""Health checks: greenlets that ask the nodes and tell control what they met."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import gevent
from gevent.lock import BoundedSemaphore

from wsgistack.balancer.control import Check, Control
from wsgistack.balancer.examine import perform
from wsgistack.balancer.model import Fact

__all__ = ["Pace", "Probes"]

# Checks at once; each holds a descriptor.  Apart, so that nodes that do not answer in time never
# keep the others from being checked.
MOST_TRUSTED = 192
MOST_SUSPECTED = 64
MOST_PROGRAMS = 16
MOST_A_SECOND = 500  # begun; about 0.15 ms of processor time each

Absorb = Callable[[Fact], None]


class Pace:
    """Spreads what many want to begin: at most so many a second, each waits for its turn.

    >>> pace = Pace(most_a_second=100)
    >>> [round(pace.wait(now=0.0), 2) for _ in range(3)]
    [0.0, 0.01, 0.02]
    """

    def __init__(self, most_a_second: int) -> None:
        self._step_s = 1 / most_a_second
        self._next = float("-inf")

    def wait(self, now: float) -> float:
        """Return in how many seconds it is the caller's turn; the turn is taken."""
        turn = max(self._next, now)
        self._next = turn + self._step_s
        return turn - now


class Probes:
    """One greenlet per (pool, node) with a check.

    `refresh` after every change of the snapshot makes them what control asks for.
    """

    def __init__(self, control: Control, absorb: Absorb) -> None:
        self._control = control
        self._absorb = absorb
        self._checks: dict[tuple[str, str], tuple[Check, Any]] = {}
        self._trusted = BoundedSemaphore(MOST_TRUSTED)
        self._suspected = BoundedSemaphore(MOST_SUSPECTED)
        self._programs = BoundedSemaphore(MOST_PROGRAMS)
        self._pace = Pace(MOST_A_SECOND)
        self._rng = random.Random()

    def refresh(self) -> None:
        """Start and stop greenlets."""
        wanted = {(check.pool, check.node): check for check in self._control.checks()}
        for key, (check, greenlet) in list(self._checks.items()):
            if greenlet is not gevent.getcurrent() and (greenlet.dead or wanted.get(key) != check):
                greenlet.kill(block=False)
                del self._checks[key]
        for key, check in wanted.items():
            if key not in self._checks:
                self._checks[key] = (check, gevent.spawn(self._watch, check))

    def stop(self) -> None:
        """End all checks."""
        for _, greenlet in self._checks.values():
            greenlet.kill(block=False)
        self._checks.clear()

    def _watch(self, check: Check) -> None:
        key = (check.pool, check.node)
        while (due := self._control.due(*key, time.time(), self._rng)) is not None:
            gevent.sleep(due)
            if wait_s := self._pace.wait(time.monotonic()):
                gevent.sleep(wait_s)
            with self._room_of(check):
                result = perform(check.check)
            self._absorb(result)

    def _room_of(self, check: Check) -> BoundedSemaphore:
        if check.check.kind == "command":
            return self._programs
        return self._suspected if self._control.is_suspected(check.pool, check.node) else self._trusted
