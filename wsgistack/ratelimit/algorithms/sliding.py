"""A sliding window by two counters: what the window before used fades out evenly.

Estimated use = previous * (share of that window which still counts) + current.  It is close to the
truth when requests come evenly and a little strict or lax when they do not; the state stays three
numbers.  `exact` keeps every stamp instead.  Cloudflare, "How we built rate limiting" (2017).
"""

from __future__ import annotations

from wsgistack.ratelimit.algorithms import NEVER
from wsgistack.ratelimit.rates import Rate

__all__ = ["HELP", "NAME", "Sliding", "make"]

NAME = "sliding"
HELP = "so many in any window, estimated from two counters"

State = tuple[int, int, int]  # (index of the window, used in the one before, used in it)


class Sliding:
    """Counter of a rate; the state is (window, units of the window before, units of this one)."""

    __slots__ = ("_amount", "_window")

    def __init__(self, rate: Rate) -> None:
        self._amount = rate.amount
        self._window = rate.window_us

    def decide(self, state: State | None, now: int, cost: int) -> tuple[int, State | None]:
        """See Counter."""
        window = self._window
        index, before, used = self._turn(state, now)
        passed = now - index * window
        fading = min(window - passed, window)  # how much of the window before still counts, in us
        if before * fading + (used + cost) * window <= self._amount * window:
            return 0, (index, before, used + cost)
        if cost > self._amount:
            return NEVER, state
        return self._wait(before, used, cost, passed), state

    def _wait(self, before: int, used: int, cost: int, passed: int) -> int:
        # *passed* is below 0 where this clock is behind that of who opened the window.
        # First within this window, else in the next, where what is used now is what fades.
        window, room = self._window, self._amount - cost
        if used <= room and before:
            return max(window - (room - used) * window // before - passed, 1)
        if not used:
            return max(window - passed, 1)
        return window - passed + max(window - room * window // used, 0) or 1

    def charge(self, state: State | None, now: int, cost: int) -> State | None:
        """See Counter; a debt fades like use."""
        index, before, used = self._turn(state, now)
        return index, before, used + cost

    def give_back(self, state: State | None, now: int, cost: int, taken: State) -> State | None:
        """See Counter; it goes to the window that it was taken from."""
        index, before, used = self._turn(state, now)
        if taken[0] == index:
            used = max(used - cost, 0)
        elif taken[0] == index - 1:
            before = max(before - cost, 0)
        return (index, before, used) if before or used else None

    def quota(self, state: State | None, now: int) -> tuple[int, int]:
        """See Counter; more means one unit more."""
        window = self._window
        index, before, used = self._turn(state, now)
        passed = now - index * window
        fading = min(window - passed, window)
        left = max((self._amount - used) * window - before * fading, 0) // window
        return left, (self._wait(before, used, left + 1, passed) if left < self._amount else 0)

    def ends_at(self, state: State) -> int:
        """See Counter."""
        return (state[0] + 2) * self._window

    def _turn(self, state: State | None, now: int) -> State:
        index = now // self._window
        if state is None or state[0] < index - 1:
            return index, 0, 0
        if state[0] >= index:  # later than now: another process's clock is ahead
            return state
        return index, state[2], 0


def make(rate: Rate) -> Sliding:
    """Return the counter of *rate*."""
    return Sliding(rate)
