"""Time for everybody who has to know it: microseconds that never go back."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["SteadyClock"]

FORWARD_STEP_US = 1_000_000  # a wall clock that is ahead by more was set, and is believed


class SteadyClock:
    """Microseconds since the epoch that never go back: the wall clock, carried on by the monotonic one.

    When the wall clock is set forward (a machine that slept) it is followed at once; when it is set
    back, time goes on from where it was until the wall has caught up.  Safe for threads and greenlets:
    a race costs at most a look at the wall clock.
    """

    __slots__ = ("_ahead", "_look_at", "_monotonic_ns", "_wall_ns")

    def __init__(
        self,
        wall_ns: Callable[[], int] = time.time_ns,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._wall_ns = wall_ns
        self._monotonic_ns = monotonic_ns
        started = monotonic_ns()
        self._ahead = (wall_ns() - started) // 1000  # of the monotonic clock, in microseconds
        self._look_at = started // 1000 + FORWARD_STEP_US

    def __call__(self) -> int:
        """Return now, at least what any call before returned."""
        return self.read()

    def read(self) -> int:
        """Do what a call of the clock does, in less time: a method is called without a detour."""
        now = self._monotonic_ns() // 1000
        if now >= self._look_at:
            self._look_at = now + FORWARD_STEP_US
            ahead = self._wall_ns() // 1000 - now
            if ahead > self._ahead + FORWARD_STEP_US:
                self._ahead = ahead
        return now + self._ahead
