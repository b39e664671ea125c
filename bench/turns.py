"""Small differences between calls of which each takes long: in turns, in random order, by medians.

In a turn everything is called twice, and the second call is timed: the first one fills the processor's
caches with what this one leaves there, as in a process that does nothing else.  CPU time counts, not
what others have of the machine meanwhile; a call in which the kernel put this process aside is made
again, as others have had the caches.  What is compared is of one turn, so that a machine that is half as
quick for a second makes both slower.
"""

from __future__ import annotations

import random
import resource
import statistics
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

__all__ = ["Added", "added", "in_turns"]

RESAMPLED = 200
TRIES = 5


class Added(NamedTuple):
    """How much longer one takes than another one: the median of the differences, and between which two
    95 % of the medians lie of turns drawn again from those that were had (a bootstrap).
    """

    median: float
    least: float
    most: float


def in_turns(
    calls: Mapping[str, Callable[[], object]], turns: int, draw: random.Random
) -> dict[str, list[float]]:
    """Return of each call the microseconds of CPU that it took, turn by turn."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    order = list(calls)
    for _ in range(turns):
        draw.shuffle(order)
        for name in order:
            taken[name].append(_time(calls[name]))
    return taken


def _time(call: Callable[[], object]) -> float:
    took_ns = 0
    for _ in range(TRIES):
        put_aside = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
        call()
        began = time.process_time_ns()
        call()
        took_ns = time.process_time_ns() - began
        if resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw == put_aside:
            break
    return took_ns / 1000


def added(base: list[float], other: list[float], draw: random.Random) -> Added:
    """Return how much longer *other* takes than *base*, of the same turns."""
    differences = [two - one for one, two in zip(base, other, strict=True)]
    medians = sorted(
        statistics.median(draw.choices(differences, k=len(differences))) for _ in range(RESAMPLED)
    )
    edge = RESAMPLED // 40
    return Added(statistics.median(differences), medians[edge], medians[-1 - edge])
