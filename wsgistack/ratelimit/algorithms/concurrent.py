"""How many at once: each request holds a lease that it gives back at its end.

A lease also ends by itself after LEASE_US, so that a process that died does not hold its places for
ever.
"""

from __future__ import annotations

from bisect import bisect_right

from wsgistack.errors import RateError
from wsgistack.ratelimit.algorithms import NEVER
from wsgistack.ratelimit.rates import Rate

__all__ = ["HELP", "LEASE_US", "MOST", "NAME", "Concurrent", "make"]

NAME = "concurrent"
HELP = "so many requests at once, given back at their end"

LEASE_US = 300_000_000  # longer than nearly all requests; the place of one that is longer is shared
RETRY_US = 1_000_000  # nobody knows when a place will be free
MOST = 10_000

State = tuple[int, ...]  # when each lease ends, in order


class Concurrent:
    """Counter of a rate; the state is when the leases end, in order."""

    __slots__ = ("_amount",)

    def __init__(self, rate: Rate) -> None:
        self._amount = rate.amount

    def decide(self, state: State | None, now: int, cost: int) -> tuple[int, State | None]:
        """See Counter; the wait is a guess."""
        live = _live(state, now)
        if len(live) + cost <= self._amount:
            return 0, _add(live, now + LEASE_US, cost)
        return (RETRY_US if cost <= self._amount else NEVER), state

    def charge(self, state: State | None, now: int, cost: int) -> State | None:
        """See Counter."""
        return _add(_live(state, now), now + LEASE_US, min(cost, MOST)) or None

    def give_back(self, state: State | None, now: int, cost: int, taken: State) -> State | None:
        """See Counter; the very units that were taken are taken out again."""
        live = list(_live(state, now))
        for stamp in taken[-cost:] if cost else ():
            if stamp in live:
                live.remove(stamp)
        return tuple(live) or None

    def quota(self, state: State | None, now: int) -> tuple[int, int]:
        """See Counter; when a place will be free is a guess."""
        used = len(_live(state, now))
        return max(self._amount - used, 0), (RETRY_US if used else 0)

    def ends_at(self, state: State) -> int:
        """See Counter."""
        return state[-1]


def _add(live: State, stamp: int, count: int) -> State:
    # In order even if another process's clock is ahead of ours.
    return (*live, *((max(stamp, live[-1]) if live else stamp,) * count))


def _live(state: State | None, now: int) -> State:
    return () if state is None else state[bisect_right(state, now) :]


def make(rate: Rate) -> Concurrent:
    """Return the counter of *rate*."""
    if rate.amount > MOST:
        raise RateError(f"'{rate}': at most {MOST} at once can be counted")
    return Concurrent(rate)
