"""In turn; heavier nodes more often, their turns spread over the round.  O(n).

A round has sum(weights) turns, and each node owns as many as its weight.  With unequal weights
the turns are walked in strides near the golden ratio of the round, so that a heavy node's turns
do not come in one run.  The choice is a function of the turn alone.
"""

from __future__ import annotations

from math import gcd

from wsgistack.balancer.algorithms import Candidates, Draw

__all__ = ["HELP", "KERNEL", "NAME", "pick", "score"]

NAME = "round_robin"
HELP = "in turn, heavier nodes more often"
KERNEL = "round_robin"


def pick(nodes: Candidates, state: int, draw: Draw) -> tuple[int, int]:
    """Return the node of turn *state*, and the next turn; draws nothing."""
    weights = nodes.weights
    total = sum(weights)
    turn = state % total
    if total == len(weights):
        return turn, state + 1
    turn = turn * _find_stride(total) % total
    for index, weight in enumerate(weights):
        if turn < weight:
            return index, state + 1
        turn -= weight
    raise AssertionError("a turn below the sum of the weights has an owner")


def _find_stride(total: int) -> int:
    """Return the largest number up to 0.618 of *total* that meets every turn of a round."""
    stride = max(total * 618 // 1000, 1)
    while gcd(stride, total) != 1:
        stride -= 1
    return stride


def score(nodes: Candidates) -> list[float]:
    """Return every how many turns each one's comes, on average."""
    total = sum(nodes.weights)
    return [total / weight for weight in nodes.weights]
