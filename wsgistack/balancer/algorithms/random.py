"""By lot: each node's chance is its weight; Perlbal's only method.  O(1) with equal weights, else O(n)."""

from __future__ import annotations

from wsgistack.balancer.algorithms import Candidates, Draw, draw_by_weight

__all__ = ["HELP", "KERNEL", "NAME", "pick", "score"]

NAME = "random"
HELP = "by lot, each node's chance is its weight"
KERNEL = "random"


def pick(nodes: Candidates, state: int, draw: Draw) -> tuple[int, int]:
    """Return an index drawn by weight; one draw, none for a single node."""
    if len(nodes.weights) == 1:
        return 0, state
    return draw_by_weight(nodes.weights, draw), state


def score(nodes: Candidates) -> list[float]:
    """Return how many times rarer than always each one is drawn."""
    total = sum(nodes.weights)
    return [total / weight for weight in nodes.weights]
