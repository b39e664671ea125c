"""An exact log: the stamp of everything that passed within the window.

Never more than the amount in any window whatsoever, at O(amount) memory and time for each key: for
small limits such as 5 logins in 15 minutes.
"""

from __future__ import annotations

from bisect import bisect_right

from wsgistack.errors import RateError
from wsgistack.ratelimit.algorithms import NEVER
from wsgistack.ratelimit.rates import Rate

__all__ = ["HELP", "MOST", "NAME", "Exact", "make"]

NAME = "exact"
HELP = "never more in any window: keeps every stamp, for small limits"
MOST = 10_000  # stamps of one key: 80 kB

State = tuple[int, ...]  # when each unit that still counts stops to count, in order


class Exact:
    """Counter of a rate; the state is when each unit used will be free again, in order."""

    __slots__ = ("_amount", "_window")

    def __init__(self, rate: Rate) -> None:
        self._amount = rate.amount
        self._window = rate.window_us

    def decide(self, state: State | None, now: int, cost: int) -> tuple[int, State | None]:
        """See Counter."""
        live = _live(state, now)
        over = len(live) + cost - self._amount
        if over <= 0:
            return 0, _add(live, now + self._window, cost)
        return (live[over - 1] - now if cost <= self._amount else NEVER), state

    def charge(self, state: State | None, now: int, cost: int) -> State | None:
        """See Counter."""
        return _add(_live(state, now), now + self._window, min(cost, MOST)) or None

    def give_back(self, state: State | None, now: int, cost: int, taken: State) -> State | None:
        """See Counter; the very units that were taken are taken out again."""
        live = list(_live(state, now))
        for stamp in taken[-cost:] if cost else ():
            if stamp in live:
                live.remove(stamp)
        return tuple(live) or None

    def quota(self, state: State | None, now: int) -> tuple[int, int]:
        """See Counter; more means one unit more."""
        live = _live(state, now)
        used = len(live)
        return max(self._amount - used, 0), (live[max(used - self._amount, 0)] - now if used else 0)

    def ends_at(self, state: State) -> int:
        """See Counter."""
        return state[-1]


def _add(live: State, stamp: int, count: int) -> State:
    # In order even if another process's clock is ahead of ours.
    return (*live, *((max(stamp, live[-1]) if live else stamp,) * count))


def _live(state: State | None, now: int) -> State:
    return () if state is None else state[bisect_right(state, now) :]


def make(rate: Rate) -> Exact:
    """Return the counter of *rate*; RateError when it would keep too many stamps."""
    if rate.amount > MOST:
        raise RateError(f"'{rate}': an exact limit keeps every stamp, at most {MOST}; 'sliding' does not")
    return Exact(rate)
