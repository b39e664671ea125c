"""Slow start: a node that comes back takes its share by and by.

Its caches are cold and its pools of connections empty; the full share at once is what brings it
down again.
"""

from __future__ import annotations

__all__ = ["SCALE", "warm_weight"]

SCALE = 256  # all weights of a pool are counted in parts of this while one of its nodes warms up
LEAST = 26  # a tenth to begin with, as Envoy: with less it would hardly be measured


def warm_weight(weight: int, warm_from: float | None, slow_start_s: float, now: float) -> int:
    """Return *weight* in parts of SCALE, grown from a tenth at *warm_from* to all of it *slow_start_s* later.

    >>> [warm_weight(1, 100.0, 10.0, now) for now in (100.0, 105.0, 110.0)]
    [26, 128, 256]
    """
    if warm_from is None:
        return weight * SCALE
    passed_ms, whole_ms = max(round((now - warm_from) * 1000), 0), round(slow_start_s * 1000)
    if passed_ms >= whole_ms:
        return weight * SCALE
    return max(weight * SCALE * passed_ms // whole_ms, weight * LEAST)
