"""What the nodes' requests tell: from counters that only grow to what was new, and to windows of time."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from wsgistack.balancer.outside import Outcomes

__all__ = ["Delta", "Traffic"]

WINDOW_S = 60  # the longest that anybody looks back: the most of breaker_window
MEASURED_LEAST = 5  # good responses from which a mean says something
STALE_S = 10.0  # a mean that is older says nothing any more


class Delta(NamedTuple):
    """What was new of one node since the last look.

    *streak*: bad ones in a row up to now; *spent_s*: what the good ones took together.
    """

    good: int
    bad: int
    streak: int
    spent_s: float


class _Second(NamedTuple):
    at: int
    good: int
    bad: int


@dataclass(slots=True)
class _Past:
    last: Outcomes
    streak: int
    seconds: deque[_Second]
    good: int = 0  # since the last mean
    spent_s: float = 0.0
    mean_s: float = 0.0
    mean_at: float = float("-inf")


class Traffic:
    """The past of every node by address."""

    def __init__(self) -> None:
        self._pasts: dict[str, _Past] = {}

    def forget(self, address: str) -> None:
        """Know nothing of a node any more."""
        self._pasts.pop(address, None)

    def absorb(self, outcomes: Mapping[str, Outcomes], now: float) -> dict[str, Delta]:
        """Take in the counters as they stand, and return what is new of whom something is.

        What was counted before a node was first seen here is no news.
        """
        deltas = {}
        for address, outcome in outcomes.items():
            past = self._pasts.get(address)
            if past is None:
                self._pasts[address] = _Past(outcome, 0, deque())
            elif past.last != outcome:
                delta = _advance(past, outcome, now)
                if delta.good or delta.bad:
                    deltas[address] = delta
        return deltas

    def counts(self, address: str, seconds: float, now: float) -> tuple[int, int]:
        """Return (good, bad) of the last *seconds*, whole ones, 60 at most."""
        past = self._pasts.get(address)
        if past is None:
            return 0, 0
        recent = [second for second in past.seconds if second.at > int(now) - seconds]
        return sum(second.good for second in recent), sum(second.bad for second in recent)

    def measure(self, now: float) -> set[str]:
        """Close the measurement of all who answered often enough since theirs began; return who did."""
        measured = set()
        for address, past in self._pasts.items():
            if past.good >= MEASURED_LEAST:
                past.mean_s, past.mean_at = past.spent_s / past.good, now
                past.good, past.spent_s = 0, 0.0
                measured.add(address)
        return measured

    def mean(self, address: str, now: float) -> float | None:
        """Return the mean time to a response's first byte as measured lately, None if it was not."""
        past = self._pasts.get(address)
        return past.mean_s if past and now - past.mean_at <= STALE_S else None


def _advance(past: _Past, outcome: Outcomes, now: float) -> Delta:
    before, past.last = past.last, outcome
    good, bad = outcome.good - before.good, outcome.bad - before.bad
    spent_s = (outcome.spent_us - before.spent_us) * 1e-6
    if good < 0 or bad < 0 or spent_s < 0:  # the row was given to another address and back
        past.streak = 0
        return Delta(0, 0, 0, 0.0)
    # The workers' longest streak may be an old one of a worker that got nothing since: what was new
    # bounds it.
    past.streak = min(outcome.streak, bad) if good else past.streak + bad
    past.good += good
    past.spent_s += spent_s
    _count(past.seconds, good, bad, int(now))
    return Delta(good, bad, past.streak, spent_s)


def _count(seconds: deque[_Second], good: int, bad: int, at: int) -> None:
    if seconds and seconds[-1].at == at:
        last = seconds.pop()
        good, bad = good + last.good, bad + last.bad
    seconds.append(_Second(at, good, bad))
    while seconds[0].at <= at - WINDOW_S:
        seconds.popleft()
