"""The compiled twin of `wsgistack.clock`: the same time, in a third of the time.

A decision of a rate limit in memory costs about as much as looking at the clock does in Python.
"""

import time

from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

__all__ = ["SteadyClock"]

cdef long long FORWARD_STEP_US = 1_000_000


cdef class SteadyClock:
    """Microseconds since the epoch that never go back; see clock."""

    def __init__(self, wall_ns=time.time_ns, monotonic_ns=time.monotonic_ns):
        self._wall_ns = wall_ns
        self._monotonic_ns = None if monotonic_ns is time.monotonic_ns else monotonic_ns
        started = self._now_ns()
        self._ahead = (wall_ns() - started) // 1000
        self._look_at = started // 1000 + FORWARD_STEP_US

    def __call__(self):
        """Return now, at least what any call before returned."""
        return self.now()

    def read(self):
        """Do what a call of the clock does, in less time: a method is called without a detour."""
        return self.now()

    cdef long long now(self) except? -1:
        cdef long long now = self._now_ns() // 1000, ahead
        if now >= self._look_at:
            self._look_at = now + FORWARD_STEP_US
            ahead = self._wall_ns() // 1000 - now
            if ahead > self._ahead + FORWARD_STEP_US:
                self._ahead = ahead
        return now + self._ahead

    cdef long long _now_ns(self) except? -1:
        cdef timespec at
        if self._monotonic_ns is not None:
            return self._monotonic_ns()
        clock_gettime(CLOCK_MONOTONIC, &at)  # a call of time.monotonic_ns takes three times as long
        return <long long>at.tv_sec * 1_000_000_000 + at.tv_nsec
