"""Whether what several saw of one counter can be put into one order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from tests import linear
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

    def outcomes(op: Seen, state: Any) -> Iterator[Any]:
        wait, after = counter.decide(state, op.now, op.cost)
        if wait == op.wait or (waits_are_least and 0 < op.wait < wait):
            yield after

    return linear.find_order(history, None, outcomes)
