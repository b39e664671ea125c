"""The compiled twin of `wsgistack.ratelimit.telling`: the same words, in a third of the time.

To tell what is left took longer than to decide: three calls and some sums of large integers for each
limit.  What a bucket (gcra) has left is counted here, in numbers of C where these suffice.
"""

from libc.string cimport memcpy

__all__ = ["Teller"]

cdef extern from "Python.h":
    long long PyLong_AsLongLongAndOverflow(object, int*) except? -1
    unsigned char* PyUnicode_1BYTE_DATA(object)
    object PyUnicode_New(Py_ssize_t, Py_UCS4)

cdef long long MOST = 1LL << 62     # differences of two numbers below this do not overflow


cdef class Item:
    """One limit that is told."""

    cdef Py_ssize_t place
    cdef object prefix, quota, whole
    cdef long long parts, step, full, latest    # of a bucket; latest is 0 where these do not suffice

    def __init__(self, place, prefix, quota, numbers):
        self.place, self.prefix, self.quota = place, prefix, quota
        self.latest = 0
        if numbers is not None and max(numbers) < MOST and prefix.isascii():
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
                return joined(self.prefix, left, (more + 999_999) // 1_000_000)
        units, more_us = self.quota(state, now)
        if more_us:
            return f"{self.prefix}{units};t={(more_us + 999_999) // 1_000_000}"
        return f"{self.prefix}{units}"


cdef object joined(str prefix, long long left, long long seconds):
    """Return f"{prefix}{left};t={seconds}" of an ASCII prefix: a format costs more than the rest of a decision."""
    cdef char digits[48]
    cdef int at = put_digits(digits, 48, seconds)
    cdef Py_ssize_t size = len(prefix)
    digits[at - 3], digits[at - 2], digits[at - 1] = 59, 116, 61    # ";t="
    at = put_digits(digits, at - 3, left)
    text = PyUnicode_New(size + 48 - at, 127)
    memcpy(PyUnicode_1BYTE_DATA(text), PyUnicode_1BYTE_DATA(prefix), size)
    memcpy(PyUnicode_1BYTE_DATA(text) + size, &digits[at], 48 - at)
    return text


cdef int put_digits(char* digits, int end, long long number) noexcept:
    """Write a number that ends at *end*; return where it begins."""
    while True:
        end -= 1
        digits[end] = 48 + number % 10
        number //= 10
        if number == 0:
            return end


cdef class Teller:
    """Tells of some limits; see telling."""

    def __init__(self, policies, items):
        self._policies = ("RateLimit-Policy", policies)
        self._items = [Item(place, *item) for place, item in enumerate(items) if item is not None]

    def fields(self, states, now):
        """Return both fields, none where nothing is told; see telling."""
        return self.told(states, now)

    cdef list told(self, states, now):
        cdef Item item
        cdef list texts
        if len(self._items) == 1:
            item = self._items[0]
            return [self._policies, ("RateLimit", item.text(states[item.place], now))]
        texts = []
        for item in self._items:
            texts.append(item.text(states[item.place], now))
        return [self._policies, ("RateLimit", ", ".join(texts))] if texts else []
