"""A pool's circuit breaker: closed, open, half-open, by the table of health.py.

A pool is `up` while its breaker is closed, `ejected` while it is open and in its `trial` while it is
half-open; the same facts lead from one to the next.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from wsgistack.balancer.health import TRIALS, NodeHealth, Rules, State

__all__ = ["Breaker", "BreakerRules"]

NAMES: dict[State, Literal["closed", "open", "half_open"]] = {
    "up": "closed",
    "warming": "closed",
    "ejected": "open",
    "trial": "half_open",
}


@dataclass(frozen=True, slots=True)
class BreakerRules:
    """A pool's breaker_* settings; *percent* 0 keeps it closed."""

    percent: int = 0
    requests: int = 50
    open_s: float = 5.0
    share: int = 10


@dataclass(frozen=True, slots=True)
class Breaker:
    """One pool's breaker; a value, `seen` returns the next one.

    >>> rules = BreakerRules(percent=50, requests=10)
    >>> Breaker().seen(good=1, bad=9, window=(1, 9), rules=rules, now=0.0).state
    'open'
    """

    health: NodeHealth = field(default_factory=lambda: NodeHealth("up"))
    tried: tuple[int, int] = (0, 0)  # (good, bad) since it is half-open

    @property
    def state(self) -> Literal["closed", "open", "half_open"]:
        """Its state by the usual name."""
        return NAMES[self.health.state]

    def admits(self, rules: BreakerRules) -> int:
        """Return the per cent of requests that are let through."""
        return {"closed": 100, "open": 0, "half_open": rules.share}[self.state] if rules.percent else 100

    def seen(
        self, *, good: int, bad: int, window: tuple[int, int], rules: BreakerRules, now: float
    ) -> Breaker:
        """Return the breaker after *good* and *bad* requests; *window*: those of breaker_window, these included."""
        if not rules.percent:
            return Breaker()
        table = Rules(eject_time_s=rules.open_s, eject_time_most_s=rules.open_s)
        after = self
        if self.health.is_over(now):
            after = Breaker(self.health.seen("elapsed", table, now))
        if after.state == "half_open":
            return after._tried(good, bad, rules, table, now)
        total = sum(window)
        if after.state == "closed" and bad and total >= rules.requests and _is_bad(*window, rules):
            why = f"{window[1]} of {total} requests failed"
            return Breaker(after.health.seen("outlier", table, now, why=why))
        return after

    def _tried(self, good: int, bad: int, rules: BreakerRules, table: Rules, now: float) -> Breaker:
        tried = (self.tried[0] + good, self.tried[1] + bad)
        if sum(tried) < TRIALS:
            return replace(self, tried=tried)
        if _is_bad(*tried, rules):
            why = f"{tried[1]} of {sum(tried)} requests failed when tried"
            return Breaker(self.health.seen("bad", table, now, why=why))
        return Breaker(self.health.seen("good", table, now, count=TRIALS))


def _is_bad(good: int, bad: int, rules: BreakerRules) -> bool:
    return bad * 100 >= rules.percent * (good + bad)
