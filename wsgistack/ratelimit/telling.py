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
        self._rows = [
            (place, *item[:2], *(item[2] or (0, 0, 0)))
            for place, item in enumerate(items)
            if item is not None
        ]

    def fields(self, states: Sequence[State | None], now: int) -> list[tuple[str, str]]:
        """Return both fields, none where nothing is told.

        `t` is rounded up: what comes back then is there.
        """
        items = []
        for place, prefix, quota, parts, step, full in self._rows:
            state = states[place]
            if parts and state is not None:
                # What Gcra.quota does, written out: where a token takes a second at most, there is one in it.
                room: int = full - (state - now if parts == 1 else state - now * parts)
                if 0 <= room < full:
                    left, second = room // step, parts * 1_000_000
                    if step <= second:
                        items.append(f"{prefix}{left};t=1")
                    else:
                        items.append(f"{prefix}{left};t={(left * step + step - room + second - 1) // second}")
                    continue
            left, more_us = quota(state, now)
            if more_us:
                items.append(f"{prefix}{left};t={(more_us + 999_999) // 1_000_000}")
            else:
                items.append(f"{prefix}{left}")
        return [self._policies, ("RateLimit", ", ".join(items))] if items else []
