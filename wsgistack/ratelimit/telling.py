"""The two fields of draft 10, of the states after a decision: written for every request.

`wsgistack.ratelimit.telling_cy` is the compiled twin of this module; `tellers` picks one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wsgistack.ratelimit.algorithms import State

__all__ = ["Item", "Teller"]

Quota = Callable[[State | None, int], tuple[int, int]]  # Counter.quota
Bucket = tuple[int, int, int]  # Gcra.numbers
Item = tuple[str, Quota, Bucket | None]  # how an item of RateLimit begins, and what counts it


class Teller:
    """Tells of some limits: *policies* is RateLimit-Policy, *items* one for each state, None for one that
    is not told.
    """

    def __init__(self, policies: str, items: Sequence[Item | None]) -> None:
        self._policies = ("RateLimit-Policy", policies)
        self._quotas = [(place, *item[:2]) for place, item in enumerate(items) if item is not None]

    def fields(self, states: Sequence[State | None], now: int) -> list[tuple[str, str]]:
        """Return both fields, none where nothing is told.

        `t` is rounded up: what comes back then is there.
        """
        items = []
        for place, prefix, quota in self._quotas:
            left, more_us = quota(states[place], now)
            if more_us:
                items.append(f"{prefix}{left};t={(more_us + 999_999) // 1_000_000}")
            else:
                items.append(f"{prefix}{left}")
        return [self._policies, ("RateLimit", ", ".join(items))] if items else []
