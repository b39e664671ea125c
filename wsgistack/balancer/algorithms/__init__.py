"""Which node gets the next request: a family, one file each.

A file defines NAME, HELP, KERNEL (the plane's compiled twin, None for none: then the plane calls
the Python function, a few microseconds a request) and

    pick(nodes, state, draw) -> (index, new state)
    score(nodes) -> numbers

*nodes*: Candidates, never empty.  *state*: the algorithm's own number per pool, 0 at first.
*draw(n)*: a uniform number below n.  The index is below len(nodes.loads).  A kernel makes the same
draws in the same order (tests/contracts/test_algorithms.py).  *score* tells what is compared, a number
per node of at least 0, the lowest the most wanted; `explain` shows it.  KEYED = True asks for the ring
and the request's key; BY_WEIGHT = False says that nodes get no shares by their weight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import NamedTuple

from wsgistack.registry import Family

__all__ = ["ALGORITHMS", "Algorithm", "Candidates", "Draw", "Pick", "draw_by_weight"]

Draw = Callable[[int], int]


class Candidates(NamedTuple):
    """The nodes that may take the request, column by column; and what the request hashes to.

    *loads*: requests in flight over all workers.  *weights*: whole numbers >= 1, slow start counted
    in.  *latencies_us*: the decaying peak of the time to the first byte as this worker knows it, 0 for
    never measured; *rested_ms*: how long ago that was.  *places*: each one's index in the pool.
    *key*: 32 bits, None for a request without one.  *points* and *owners* are the pool's ring: in
    rising order, and whose point each is (an index in the pool).  *most_percent*: how far above the
    average load the owner of a key may be, 100 and more; 0 for any.
    """

    loads: Sequence[int]
    weights: Sequence[int]
    latencies_us: Sequence[int] = ()
    rested_ms: Sequence[int] = ()
    places: Sequence[int] = ()
    key: int | None = None
    points: Sequence[int] = ()
    owners: Sequence[int] = ()
    most_percent: int = 0


Pick = Callable[[Candidates, int, Draw], tuple[int, int]]
Score = Callable[[Candidates], Sequence[float]]


@dataclass(frozen=True, slots=True)
class Algorithm:
    """One member of the family.

    *keyed*: it wants the ring, and the request's key.  *by_weight*: an idle pool is shared by weight.
    """

    name: str
    help: str
    kernel: str | None
    keyed: bool
    by_weight: bool
    pick: Pick
    score: Score


def draw_by_weight(weights: Sequence[int], draw: Draw, *, without: int | None = None) -> int:
    """Return an index by lot, its chance its weight; one draw."""
    ticket = draw(sum(weights) - (0 if without is None else weights[without]))
    for index, weight in enumerate(weights):
        if index == without:
            continue
        if ticket < weight:
            return index
        ticket -= weight
    raise AssertionError("draw(n) gave n or more")


def _parts(module: ModuleType) -> Iterable[tuple[str, Algorithm]]:
    keyed = getattr(module, "KEYED", False)
    by_weight = getattr(module, "BY_WEIGHT", True)
    yield (
        module.NAME,
        Algorithm(module.NAME, module.HELP, module.KERNEL, keyed, by_weight, module.pick, module.score),
    )


ALGORITHMS: Family[Algorithm] = Family("balance_method", __name__, _parts)
