"""The compiled twin of `wsgistack.store.memcached.gauges`: the same seconds from the same answers."""

from wsgistack.store.memcached.gauges import BUCKETS, DEVIATIONS as _DEVIATIONS
from wsgistack.store.memcached.gauges import LEAST_PATIENCE_S, QUARTERS, SAFETY as _SAFETY

__all__ = ["Histogram", "Patience"]

cdef double DEVIATIONS = _DEVIATIONS
cdef double SAFETY = _SAFETY
cdef enum:
    LAST = 127

assert BUCKETS == LAST + 1 and QUARTERS == 4


cdef class Histogram:
    """See the plain twin."""

    cpdef add(self, double seconds):
        """See the plain twin."""
        cdef unsigned long long quarter_us = <unsigned long long>(seconds * 4_000_000)
        cdef unsigned long long rest = quarter_us
        cdef int power = 0
        cdef int bucket
        while rest > 1:
            rest >>= 1
            power += 1
        bucket = power * 4
        if power >= 2:
            bucket += <int>((quarter_us >> (power - 2)) & 3)
        self.counts[bucket if bucket < LAST else LAST] += 1

    def percentile(self, double share) -> float:
        """See the plain twin."""
        cdef long long total = 0
        cdef long long seen = 0
        cdef int bucket
        for bucket in range(BUCKETS):
            total += self.counts[bucket]
        if not total:
            return 0.0
        for bucket in range(BUCKETS):
            seen += self.counts[bucket]
            if self.counts[bucket] and seen >= share * total:
                return float(2 ** (bucket // 4)) * (1 + (bucket % 4 + 1) / 4.0) / 4_000_000
        return 0.0


cdef class Patience:
    """See the plain twin."""

    def __init__(self, double limit_s, double least_s=LEAST_PATIENCE_S) -> None:
        self.limit_s = limit_s
        self.least_s = least_s
        self.seconds = limit_s
        self._mean_s = -1.0
        self._deviation_s = 0.0

    cpdef answered(self, double seconds):
        """See the plain twin."""
        cdef double off, wanted
        if self._mean_s < 0:
            self._mean_s = seconds
            self._deviation_s = seconds / 2
        else:
            off = seconds - self._mean_s
            self._deviation_s += 0.25 * ((off if off >= 0 else -off) - self._deviation_s)
            self._mean_s += 0.125 * (seconds - self._mean_s)
        wanted = SAFETY * (self._mean_s + DEVIATIONS * self._deviation_s)
        if wanted < self.least_s:
            wanted = self.least_s
        self.seconds = wanted if wanted < self.limit_s else self.limit_s
