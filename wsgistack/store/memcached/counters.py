"""What is counted per node, and percentiles from counts; pure.

Counters are plain additions: two threads may lose one now and then, which no decision rests on.
"""

from __future__ import annotations

__all__ = ["Counters", "Histogram"]

BUCKETS = 128
QUARTERS = 4  # per doubling: a percentile is right to about 19 %


class Histogram:
    """Durations in buckets that grow by a quarter of a doubling; 1 µs to 17 minutes."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts = [0] * BUCKETS

    def add(self, seconds: float) -> None:
        """Count one duration."""
        quarter_us = int(seconds * 4_000_000) or 1
        power = quarter_us.bit_length() - 1
        rest = (quarter_us >> (power - 2)) & 3 if power >= 2 else 0
        self._counts[min(power * QUARTERS + rest, BUCKETS - 1)] += 1

    def percentile(self, share: float) -> float:
        """Return the seconds that *share* of the durations did not exceed; 0 if there were none."""
        total = sum(self._counts)
        if not total:
            return 0.0
        seen = 0
        for bucket, count in enumerate(self._counts):
            seen += count
            if count and seen >= share * total:
                power, rest = divmod(bucket, QUARTERS)
                return float(2**power * (1 + (rest + 1) / QUARTERS)) / 4_000_000
        return 0.0


class Counters:
    """One node's counters since it is in the ring."""

    __slots__ = (
        "calls",
        "connects",
        "failures",
        "hits",
        "latency",
        "misses",
        "outages",
        "refused",
        "restarts",
        "timeouts",
        "writes",
    )

    def __init__(self) -> None:
        self.calls = 0
        self.hits = 0
        self.misses = 0
        self.writes = 0
        self.timeouts = 0
        self.failures = 0  # of connections: lost, refused, garbage
        self.refused = 0  # requests that were not made because the node was down
        self.outages = 0
        self.restarts = 0
        self.connects = 0
        self.latency = Histogram()
