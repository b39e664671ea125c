"""The first node of the pool that may take a request: one after the other is filled up to its cap.

For nodes that cost money while they run: those at the end can be switched off.  The plane leaves out
nodes that are full, so all there is to do is to take the first.  O(1).
"""

from __future__ import annotations

from wsgistack.balancer.algorithms import Candidates, Draw

__all__ = ["BY_WEIGHT", "HELP", "KERNEL", "NAME", "pick", "score"]

NAME = "first"
HELP = "the first that is not full, in the order of the pool"
KERNEL = "first"
BY_WEIGHT = False


def pick(nodes: Candidates, state: int, draw: Draw) -> tuple[int, int]:
    """Return the first node; draws nothing."""
    return 0, state


def score(nodes: Candidates) -> list[float]:
    """Return the order of the pool."""
    return [float(index) for index in range(len(nodes.weights))]
