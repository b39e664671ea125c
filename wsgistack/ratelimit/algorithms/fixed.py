"""A fixed window that opens with a key's first request: the cheapest to explain, the easiest to game.

Two windows may meet, so up to twice the amount passes in a moment at their border.  Windows of
different keys open at different times, so that not everybody's quota returns at once.
"""

from __future__ import annotations

from wsgistack.ratelimit.algorithms import NEVER
from wsgistack.ratelimit.rates import Rate

__all__ = ["HELP", "NAME", "Fixed", "make"]

NAME = "fixed"
HELP = "so many per window, counted from the first request; twice as many may meet at a border"

State = tuple[int, int]  # (when the window ends, used in it)


class Fixed:
    """Counter of a rate; the state is (end of the window, units used in it)."""

    __slots__ = ("_amount", "_window")

    def __init__(self, rate: Rate) -> None:
        self._amount = rate.amount
        self._window = rate.window_us

    def decide(self, state: State | None, now: int, cost: int) -> tuple[int, State | None]:
        """See Counter."""
        if state is None or state[0] <= now:
            fresh = (now + self._window, cost)
            return (0, fresh) if cost <= self._amount else (NEVER, state)
        if state[1] + cost <= self._amount:
            return 0, (state[0], state[1] + cost)
        return (state[0] - now if cost <= self._amount else NEVER), state

    def charge(self, state: State | None, now: int, cost: int) -> State | None:
        """See Counter; a debt ends with its window."""
        if state is None or state[0] <= now:
            return (now + self._window, cost)
        return state[0], state[1] + cost

    def give_back(self, state: State | None, now: int, cost: int, taken: State) -> State | None:
        """See Counter."""
        if state is None or state[0] != taken[0]:
            return state
        return state[0], max(state[1] - cost, 0)

    def quota(self, state: State | None, now: int) -> tuple[int, int]:
        """See Counter."""
        if state is None or state[0] <= now or not state[1]:
            return self._amount, 0
        return max(self._amount - state[1], 0), state[0] - now

    def ends_at(self, state: State) -> int:
        """See Counter."""
        return state[0]


def make(rate: Rate) -> Fixed:
    """Return the counter of *rate*."""
    return Fixed(rate)
