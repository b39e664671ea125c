"""Who stands out of a pool, whom it can spare, and whom it uses in need: pure, over values.

The statistics are Envoy's outlier detection, but a node is compared with the *others*: among few
nodes its own bad rate would widen the spread that it is judged by until nobody could stand out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from wsgistack.balancer.health import USABLE, State

__all__ = ["Standing", "find_failing", "find_slow", "is_slow", "may_eject", "stand"]

SPARE_POINTS = 0.02  # of the success rate: a gap that nobody minds


def find_failing(
    counts: Mapping[str, tuple[int, int]], *, deviations: float, nodes: int, requests: int
) -> dict[str, str]:
    """Return {address: why} of those whose success rate lies too far below the others'.

    *counts*: (good, bad) by address.  Those with fewer than *requests* are not judged, and do not
    count among the *nodes* that it takes.  What chance alone would do to so few requests is allowed for.

    >>> counts = {"a": (99, 1), "b": (98, 2), "c": (60, 40)}
    >>> find_failing(counts, deviations=3.0, nodes=3, requests=50)
    {'c': '60% of 100 requests went well, 98% elsewhere'}
    """
    rates = {
        a: (good / (good + bad), good + bad) for a, (good, bad) in counts.items() if good + bad >= requests
    }
    if not deviations or len(rates) < max(nodes, 2):
        return {}
    total = math.fsum(rate for rate, _ in rates.values())
    squares = math.fsum(rate * rate for rate, _ in rates.values())
    found = {}
    for address, (rate, size) in rates.items():
        others = len(rates) - 1
        mean = (total - rate) / others
        variance = max((squares - rate * rate) / others - mean * mean, 0.0)
        chance = max(mean * (1 - mean), 0.0) / size
        if rate < mean - deviations * math.sqrt(variance + chance) - SPARE_POINTS:
            found[address] = f"{rate:.0%} of {size} requests went well, {mean:.0%} elsewhere"
    return found


def find_slow(means: Mapping[str, float], *, factor: float, least_s: float) -> dict[str, str]:
    """Return {address: why} of those whose mean latency is *factor* times the others' median.

    >>> find_slow({"a": 0.010, "b": 0.012, "c": 0.110}, factor=5.0, least_s=0.005)
    {'c': 'answers in 110 ms, the others in 11 ms'}
    """
    if not factor or len(means) < 2:
        return {}
    ordered = sorted(means.values())
    found = {}
    for address, mean_s in means.items():
        usual_s = _median_without(ordered, mean_s)
        if is_slow(mean_s, usual_s, factor=factor, least_s=least_s):
            found[address] = f"answers in {mean_s * 1000:.3g} ms, the others in {usual_s * 1000:.3g} ms"
    return found


def is_slow(mean_s: float, usual_s: float, *, factor: float, least_s: float) -> bool:
    """Tell whether *mean_s* is too slow where *usual_s* is usual; never with the factor 0."""
    return factor > 0 and mean_s >= factor * usual_s and mean_s - usual_s >= least_s


def _median_without(ordered: Sequence[float], value: float) -> float:
    """Return the median of *ordered* without one *value* that is in it."""
    at, size = ordered.index(value), len(ordered) - 1

    def other(index: int) -> float:
        return ordered[index if index < at else index + 1]

    return (other((size - 1) // 2) + other(size // 2)) / 2


def may_eject(states: Mapping[str, State], address: str, *, most_percent: int) -> bool:
    """Tell whether the pool can spare *address*: not the last one, and not too many at once.

    >>> may_eject({"a": "up", "b": "up", "c": "ejected"}, "a", most_percent=50)
    False
    """
    out = sum(state in ("ejected", "trial") for other, state in states.items() if other != address)
    sound = any(state in USABLE and state != "trial" for other, state in states.items() if other != address)
    return sound and out + 1 <= max(1, len(states) * most_percent // 100)


class Standing(NamedTuple):
    """How a pool stands, and who of it is used.

    *mood*: "calm", "panic" (too few are sound: all are used that are not dead) or "down" (nobody).
    """

    mood: Literal["calm", "panic", "down"]
    used: frozenset[str]


def stand(states: Mapping[str, State], *, panic_percent: int) -> Standing:
    """Return who is used of a pool whose nodes have these *states*.

    A node that is dead is never used: when all are, the answer is 503 at once.  One that is ejected or in
    its trial is used in full before a pool has nobody, whatever *panic_percent* is.

    >>> sorted(stand({"a": "down", "b": "down", "c": "dead", "d": "up"}, panic_percent=30).used)
    ['a', 'b', 'd']
    """
    sound = frozenset(a for a, state in states.items() if state in USABLE and state != "trial")
    alive = frozenset(a for a, state in states.items() if state != "dead")
    if not alive:
        return Standing("down" if states else "calm", frozenset())
    if len(sound) * 100 < panic_percent * len(states):
        # Were most found dead, who is left is simply used; it is panic only if it changes something.
        return Standing("panic" if alive != sound else "calm", alive)
    if not sound:
        put_aside = frozenset(a for a, state in states.items() if state in ("ejected", "trial"))
        return Standing("panic" if put_aside else "down", put_aside)
    return Standing("calm", frozenset(a for a, state in states.items() if state in USABLE))
