"""How long something takes, as operators read it."""

from __future__ import annotations

__all__ = ["show_seconds"]

LEAST_S = 0.001


def show_seconds(seconds: float) -> str:
    """Return seconds with three digits, or all of those before the point; at least a millisecond.

    >>> [show_seconds(seconds) for seconds in (7200.4, 99.96, 1.5, 0.25, 0.000001)]
    ['7200', '100', '1.5', '0.25', '0.001']
    """
    return f"{seconds:.0f}" if seconds >= 99.95 else f"{max(seconds, LEAST_S):.3g}"
