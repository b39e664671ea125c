"""What the time that answers take is made into: how long to wait for the next, and percentiles; pure."""

from __future__ import annotations

__all__ = ["LEAST_PATIENCE_S", "Histogram", "Patience"]

LEAST_PATIENCE_S = (
    0.015  # above a scheduler's turn on a busy machine, below what 50 waiters may lose together
)
DEVIATIONS = 4.0  # RFC 6298 §2: the round trip plus four deviations
SAFETY = 3.0  # a cache is in the same building: a false alarm costs misses, waiting costs requests
BUCKETS = 128
QUARTERS = 4  # per doubling: a percentile is right to about 19 %


class Patience:
    """How long to wait for an answer, from how long answers take: *least_s* to *limit_s*.

    `answered` is called for a sample of the answers; it costs no clock.
    """

    __slots__ = ("_deviation_s", "_mean_s", "least_s", "limit_s", "seconds")

    def __init__(self, limit_s: float, least_s: float = LEAST_PATIENCE_S) -> None:
        self.limit_s = limit_s
        self.least_s = least_s
        self.seconds = limit_s
        self._mean_s = -1.0
        self._deviation_s = 0.0

    def answered(self, seconds: float) -> None:
        """Take note of an answer that came after *seconds*.  RFC 6298 §2, with its gains."""
        if self._mean_s < 0:
            self._mean_s = seconds
            self._deviation_s = seconds / 2
        else:
            self._deviation_s += 0.25 * (abs(seconds - self._mean_s) - self._deviation_s)
            self._mean_s += 0.125 * (seconds - self._mean_s)
        wanted = SAFETY * (self._mean_s + DEVIATIONS * self._deviation_s)
        self.seconds = min(max(wanted, self.least_s), self.limit_s)


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
