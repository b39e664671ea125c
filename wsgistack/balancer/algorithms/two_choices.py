"""The less loaded of two nodes drawn by weight: nearly as even as `least`, and no herd.

Two draws without replacement, each by weight, so that an idle pool is shared by weight; compared
is load / weight, the first drawn wins a tie.  Mitzenmacher, "The power of two choices in
randomized load balancing" (2001).  O(1) with equal weights, else O(n).
"""

from __future__ import annotations

from wsgistack.balancer.algorithms import Candidates, Draw, draw_by_weight

__all__ = ["HELP", "KERNEL", "NAME", "pick", "score"]

NAME = "two_choices"
HELP = "the less loaded of two drawn by lot (the default)"
KERNEL = "two_choices"


def pick(nodes: Candidates, state: int, draw: Draw) -> tuple[int, int]:
    """Return the better of two; two draws, none for a single node."""
    loads, weights = nodes.loads, nodes.weights
    if len(weights) == 1:
        return 0, state
    first = draw_by_weight(weights, draw)
    second = draw_by_weight(weights, draw, without=first)
    if loads[second] * weights[first] < loads[first] * weights[second]:
        return second, state
    return first, state


def score(nodes: Candidates) -> list[float]:
    """Return each one's load for its weight, which decides between the two that are drawn."""
    return [load / weight for load, weight in zip(nodes.loads, nodes.weights, strict=True)]
