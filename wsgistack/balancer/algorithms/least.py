"""The node with the fewest requests in flight, for its weight.  O(n).

Compared is (load + 1) / weight, the load it would have with this request: a node of weight 2
gets the first two requests that a node of weight 1 would share with it.  Ties go round, so that
an idle pool is not served by its first node alone.
"""

from __future__ import annotations

from wsgistack.balancer.algorithms import Candidates, Draw

__all__ = ["HELP", "KERNEL", "NAME", "pick", "score"]

NAME = "least"
HELP = "the fewest requests in flight for its weight, exact over all workers"
KERNEL = "least"


def pick(nodes: Candidates, state: int, draw: Draw) -> tuple[int, int]:
    """Return the least loaded node, the first after turn *state* among equals; draws nothing."""
    loads, weights = nodes.loads, nodes.weights
    count = len(loads)
    start = state % count
    best = start
    for step in range(1, count):
        other = (start + step) % count
        # (load + 1) / weight without a division, exact for any integers.
        if (loads[other] + 1) * weights[best] < (loads[best] + 1) * weights[other]:
            best = other
    return best, state + 1


def score(nodes: Candidates) -> list[float]:
    """Return the load for its weight that each one would have."""
    return [(load + 1) / weight for load, weight in zip(nodes.loads, nodes.weights, strict=True)]
