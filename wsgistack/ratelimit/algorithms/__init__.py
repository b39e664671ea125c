"""How a limit counts: a family, one file each.

A file defines NAME and HELP, and

    make(rate) -> Counter

A Counter is pure: it holds the rate's numbers and no state.  The *state* of one key is a value of
its own kind, None for a key that was never seen; *now* is in whole microseconds since the epoch
and never goes back.  Everything is integer arithmetic: no rate drifts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol

from wsgistack.ratelimit.rates import Rate
from wsgistack.registry import Family

__all__ = ["ALGORITHMS", "NEVER", "Algorithm", "Counter", "State", "make_counter"]

State = Any  # int or tuple[int, ...]; each algorithm says which

NEVER = -1  # a wait that does not help: the cost is above what the limit can ever give


class Counter(Protocol):
    """What an algorithm gives for one rate.  Nothing here changes a state in place."""

    def decide(self, state: State | None, now: int, cost: int) -> tuple[int, State | None]:
        """Return (0, new state) when *cost* units may pass, else (wait, the state as it was).

        *wait*: microseconds until the same cost may pass if nobody else comes, at least 1, or NEVER.
        """

    def charge(self, state: State | None, now: int, cost: int) -> State | None:
        """Return the state after *cost* (0 or more) units were used, whatever the limit says."""

    def give_back(self, state: State | None, now: int, cost: int, taken: State) -> State | None:
        """Return the state after *cost* units were given back that a decision had taken.

        *taken* is the state that this decision gave.  What has come back by itself since then (the
        window is over, the bucket has filled) is not given a second time.
        """

    def quota(self, state: State | None, now: int) -> tuple[int, int]:
        """Return how many units may pass at once now (at least 0), and in how many microseconds there
        are more of them (0 if all of them are there).
        """

    def ends_at(self, state: State) -> int:
        """Return when (microseconds) the state is as good as none: from then on it may be dropped."""


@dataclass(frozen=True, slots=True)
class Algorithm:
    """One member of the family."""

    name: str
    help: str
    make: Callable[[Rate], Counter]


def _parts(module: ModuleType) -> Iterable[tuple[str, Algorithm]]:
    yield module.NAME, Algorithm(module.NAME, module.HELP, module.make)


ALGORITHMS: Family[Algorithm] = Family("algorithm", __name__, _parts)


def make_counter(rate: Rate) -> Counter:
    """Return the counter of *rate*; raises UnknownName for an algorithm that has no file."""
    return ALGORITHMS.get(rate.algorithm).make(rate)
