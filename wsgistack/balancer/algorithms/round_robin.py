"""In turn; heavier nodes more often and evenly spread, as nginx does it.

The choice is a function of the turn alone: nginx's credits are replayed from the start of the
round, which has sum(weights) turns.  O(n) with equal weights of 1, else O(n * sum(weights)):
meant for small weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

__all__ = ["HELP", "KERNEL", "NAME", "pick"]

NAME = "round_robin"
HELP = "in turn, heavier nodes more often"
KERNEL = "round_robin"


def pick(
    loads: Sequence[int], weights: Sequence[int], state: int, draw: Callable[[int], int]
) -> tuple[int, int]:
    """Return the node of turn *state*, and the next turn; draws nothing."""
    total = sum(weights)
    turn = state % total
    if total == len(weights):
        return turn, state + 1
    return _replay(weights, total, turn), state + 1


def _replay(weights: Sequence[int], total: int, turn: int) -> int:
    credit = [0] * len(weights)
    best = 0
    for _ in range(turn + 1):
        credit = [have + weight for have, weight in zip(credit, weights, strict=True)]
        best = credit.index(max(credit))
        credit[best] -= total
    return best
