"""Whether what several saw of one counter can be put into one order: linearizability.

Herlihy and Wing (1990).  The search is Wing and Gong's (1993) with Lowe's memory of what was tried.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from wsgistack.ratelimit.algorithms import Counter

__all__ = ["Seen", "find_order"]


class Seen(NamedTuple):
    """One decision as somebody saw it: when it was asked and answered, at which *now*, what came of it."""

    began: int
    ended: int
    now: int
    cost: int
    wait: int


def find_order(
    history: Sequence[Seen], counter: Counter, *, waits_are_least: bool = False
) -> list[Seen] | None:
    """Return the decisions in an order in which *counter* gives their answers, None if there is none.

    A decision that was answered before another was asked stands before it.  *waits_are_least*: a
    refusal may tell a wait that was true before somebody else took more, but none that is longer.
    """
    ops = sorted(history)
    tried: set[tuple[frozenset[int], Any]] = set()
    order: list[int] = []

    def search(rest: frozenset[int], state: Any) -> bool:
        if not rest:
            return True
        if (rest, state) in tried:
            return False
        first_end = min(ops[number].ended for number in rest)
        for number in sorted(rest):
            op = ops[number]
            if op.began > first_end:
                break
            wait, after = counter.decide(state, op.now, op.cost)
            is_same = wait == op.wait or (waits_are_least and 0 < op.wait < wait)
            if is_same:
                order.append(number)
                if search(rest - {number}, after):
                    return True
                order.pop()
        tried.add((rest, state))
        return False

    return [ops[number] for number in order] if search(frozenset(range(len(ops))), None) else None
