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

    __slots__ = ("read",)

    def __init__(
        self,
        wall_ns: Callable[[], int] = time.time_ns,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        # What a call of the clock does, in less time: variables of a function are found without a look-up.
        self.read = _make_read(wall_ns, monotonic_ns)

    def __call__(self) -> int:
        """Return now, at least what any call before returned."""
        return self.read()


def _make_read(wall_ns: Callable[[], int], monotonic_ns: Callable[[], int]) -> Callable[[], int]:
    started = monotonic_ns()
    ahead = (wall_ns() - started) // 1000  # of the monotonic clock, in microseconds
    look_at = started // 1000 + FORWARD_STEP_US

    def read() -> int:
        nonlocal ahead, look_at
        now = monotonic_ns() // 1000
        if now >= look_at:
            look_at = now + FORWARD_STEP_US
            ahead_now = wall_ns() // 1000 - now
            if ahead_now > ahead + FORWARD_STEP_US:
                ahead = ahead_now
        return now + ahead

    return read
