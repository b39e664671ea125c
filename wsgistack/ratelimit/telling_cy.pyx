"""The compiled twin of `wsgistack.ratelimit.telling`: the same words, in a third of the time.

To tell what is left took longer than to decide: three calls and some sums of large integers for each
limit.  What a bucket (gcra) has left is counted here, in numbers of C where these suffice.
"""

__all__ = ["Teller"]

cdef extern from "Python.h":
    long long PyLong_AsLongLongAndOverflow(object, int*) except? -1
    object PyUnicode_FromFormat(const char*, ...)

cdef long long MOST = 1LL << 62     # differences of two numbers below this do not overflow


cdef class Item:
    """One limit that is told."""

    cdef Py_ssize_t place
    cdef object prefix, quota, whole
    cdef long long parts, step, full, latest    # of a bucket; latest is 0 where these do not suffice

    def __init__(self, place, prefix, quota, numbers):
        self.place, self.prefix, self.quota = place, prefix, quota
        self.latest = 0
        if numbers is not None and max(numbers) < MOST:
            self.parts, self.step, self.full = numbers
            self.latest = MOST // self.parts
            self.whole = f"{prefix}{self.full // self.step}"

    cdef object text(self, object state, object now):
        cdef int over_now = 0, over_tat = 0
        cdef long long c_now, ahead, room, left, more
        if self.latest and state is not None:
            c_now = PyLong_AsLongLongAndOverflow(now, &over_now)
            ahead = PyLong_AsLongLongAndOverflow(state, &over_tat)
            if not over_now and not over_tat and 0 <= c_now < self.latest and 0 <= ahead < MOST:
                ahead -= c_now * self.parts
                if ahead <= 0:
                    return self.whole
                room = self.full - ahead    # see Gcra.quota
                left = room // self.step if room > 0 else 0
                more = (self.step - room + left * self.step + self.parts - 1) // self.parts
                return PyUnicode_FromFormat(
                    b"%U%lld;t=%lld", <void*>self.prefix, left, (more + 999_999) // 1_000_000
                )
        units, more_us = self.quota(state, now)
        if more_us:
            return f"{self.prefix}{units};t={(more_us + 999_999) // 1_000_000}"
        return f"{self.prefix}{units}"


cdef class Teller:
    """Tells of some limits; see telling."""

    cdef tuple _policies
    cdef list _items

    def __init__(self, policies, items):
        self._policies = ("RateLimit-Policy", policies)
        self._items = [Item(place, *item) for place, item in enumerate(items) if item is not None]

    def fields(self, states, now):
        """Return both fields, none where nothing is told; see telling."""
        cdef Item item
        cdef list texts
        if len(self._items) == 1:
            item = self._items[0]
            return [self._policies, ("RateLimit", item.text(states[item.place], now))]
        texts = []
        for item in self._items:
            texts.append(item.text(states[item.place], now))
        return [self._policies, ("RateLimit", ", ".join(texts))] if texts else []
