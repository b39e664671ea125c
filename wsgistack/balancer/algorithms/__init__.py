"""Which node gets the next request: a family, one file each.

A file defines NAME, HELP, KERNEL (the plane's compiled twin, None for none: then the plane calls
the Python function, about a microsecond a request) and

    pick(loads, weights, state, draw) -> (index, new state)

*loads*: requests in flight of each usable node over all workers; *weights*: whole numbers >= 1;
never empty and of one length.  *state*: the algorithm's own number per pool, 0 at first.
*draw(n)*: a uniform number below n.  The index is below len(loads).  A kernel makes the same
draws in the same order (tests/contracts/test_algorithms.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import ModuleType

from wsgistack.registry import Family

__all__ = ["ALGORITHMS", "Algorithm", "Draw", "Pick"]

Draw = Callable[[int], int]
Pick = Callable[[Sequence[int], Sequence[int], int, Draw], tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Algorithm:
    """One member of the family."""

    name: str
    help: str
    kernel: str | None
    pick: Pick


def _parts(module: ModuleType) -> Iterable[tuple[str, Algorithm]]:
    yield module.NAME, Algorithm(module.NAME, module.HELP, module.KERNEL, module.pick)


ALGORITHMS: Family[Algorithm] = Family("balance_method", __name__, _parts)
