"""By lot: each node's chance is its weight; Perlbal's only method.  O(n)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

__all__ = ["HELP", "KERNEL", "NAME", "pick"]

NAME = "random"
HELP = "by lot, each node's chance is its weight"
KERNEL = "random"


def pick(
    loads: Sequence[int], weights: Sequence[int], state: int, draw: Callable[[int], int]
) -> tuple[int, int]:
    """Return an index drawn by weight; one draw, none for a single node."""
    if len(weights) == 1:
        return 0, state
    ticket = draw(sum(weights))
    for index, weight in enumerate(weights):
        if ticket < weight:
            return index, state
        ticket -= weight
    raise AssertionError("draw(n) gave n or more")
