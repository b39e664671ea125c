"""The less loaded of two nodes drawn by weight: nearly as even as `least`, and no herd.

Two draws without replacement, each by weight, so that an idle pool is shared by weight; compared
is load / weight, the first drawn wins a tie.  Mitzenmacher, "The power of two choices in
randomized load balancing" (2001).  O(n) for the weighted draws.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

__all__ = ["HELP", "KERNEL", "NAME", "pick"]

NAME = "two_choices"
HELP = "the less loaded of two drawn by lot (the default)"
KERNEL = "two_choices"


def pick(
    loads: Sequence[int], weights: Sequence[int], state: int, draw: Callable[[int], int]
) -> tuple[int, int]:
    """Return the better of two; two draws, none for a single node."""
    if len(loads) == 1:
        return 0, state
    first = _draw(weights, draw, without=None)
    second = _draw(weights, draw, without=first)
    if loads[second] * weights[first] < loads[first] * weights[second]:
        return second, state
    return first, state


def _draw(weights: Sequence[int], draw: Callable[[int], int], *, without: int | None) -> int:
    ticket = draw(sum(weights) - (0 if without is None else weights[without]))
    for index, weight in enumerate(weights):
        if index == without:
            continue
        if ticket < weight:
            return index
        ticket -= weight
    raise AssertionError("draw(n) gave n or more")
