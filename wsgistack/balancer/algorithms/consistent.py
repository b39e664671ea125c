"""The node that owns the request's key on a ring; few keys move when a node joins or leaves.

The ring has ketama's points, 160 a node for its weight, as uhashring makes them.  The owner is the
node of the first point after the key's hash.  While it cannot take the request, the next node on the
way round does, so its keys are spread over all others.  With *most_percent* a node that would have more
than that share of the average load is passed by as well (Mirrokni, Thorup and Zadimoghaddam,
"Consistent hashing with bounded loads", 2017).  A request without a key goes to a random point.
O(log points), with bounded load O(n).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator

from wsgistack.balancer.algorithms import Candidates, Draw

__all__ = ["BY_WEIGHT", "HELP", "KERNEL", "KEYED", "NAME", "pick", "score"]

NAME = "consistent"
HELP = "by the key's place on a ring: see hash_key"
KERNEL = "consistent"
KEYED = True
BY_WEIGHT = False  # shares are those of the keys, and of the ring


def pick(nodes: Candidates, state: int, draw: Draw) -> tuple[int, int]:
    """Return the owner, or who stands in for it; draws nothing for a request with a key."""
    if len(nodes.weights) == 1:
        return 0, state
    key = draw(2**32) if nodes.key is None else nodes.key
    way = _walk(nodes, key)
    if not nodes.most_percent:
        return next(way, 0), state
    total, weight = sum(nodes.loads) + 1, sum(nodes.weights)
    for index in way:
        # Its load with this request, for its weight, is at most most_percent of everybody's.
        if nodes.loads[index] * 100 * weight < nodes.most_percent * total * nodes.weights[index]:
            return index, state
    return 0, state  # not every node can be above the average: some have no point on the ring


def _walk(nodes: Candidates, key: int) -> Iterator[int]:
    """Yield the candidates in the order in which they meet the key; the same one more than once."""
    index_of = {place: index for index, place in enumerate(nodes.places)}
    start = bisect_right(nodes.points, key)
    for step in range(len(nodes.points)):
        owner = nodes.owners[(start + step) % len(nodes.points)]
        if owner in index_of:
            yield index_of[owner]


def score(nodes: Candidates) -> list[float]:
    """Return how many nodes stand between the key and each one; by weight without a key."""
    if nodes.key is None or len(nodes.weights) == 1:
        return [sum(nodes.weights) / weight for weight in nodes.weights]
    order = {index: float(n) for n, index in enumerate(dict.fromkeys(_walk(nodes, nodes.key)))}
    return [order.get(index, math.inf) for index in range(len(nodes.weights))]
