"""The compiled twin of `wsgistack.ratelimit.taking`: the same answers, in a quarter of the time.

A decision about buckets (gcra) calls no Python code, so nothing else runs in its middle while the
GIL is held (Cython modules keep it, also in free-threaded builds).  It takes the lock only if
somebody else is inside: whoever works with Python code there, a sweep or another algorithm, holds it.
"""

import threading

from cpython.dict cimport PyDict_GetItemWithError, PyDict_SetItem, PyDict_Size
from cpython.long cimport PyLong_FromLongLong, PyLong_FromUnsignedLongLong
from cpython.ref cimport PyObject

__all__ = ["Taker"]

cdef extern from "Python.h":
    Py_hash_t PyObject_Hash(object) except? -1
    long long PyLong_AsLongLongAndOverflow(object, int*) except? -1

cdef unsigned long long HASH_BITS = (1ULL << 60) - 1
# Sums of two numbers below this do not overflow; of a time in microseconds it is the year 148,000.
cdef long long MOST = 1LL << 62


cdef class Bucket:
    """What Gcra.numbers says of one limit, in numbers of C where these suffice."""

    def __init__(self, numbers):
        self.parts, self.step, self.full = numbers
        fits = max(numbers) < MOST
        self.latest = MOST // self.parts if fits else 0
        self.most_cost = MOST // self.step if fits else 0
        if fits:
            self.c_parts, self.c_step, self.c_full = numbers

    cdef object arrival(self, PyObject* state, object cost, object now):
        """Return the theoretical arrival time after *cost*, None if there is no room.  See Gcra."""
        cdef int over_now = 0, over_cost = 0, over_tat = 0
        cdef long long c_now = PyLong_AsLongLongAndOverflow(now, &over_now)
        cdef long long c_cost = PyLong_AsLongLongAndOverflow(cost, &over_cost)
        cdef long long scaled, tat = 0
        if state != NULL:
            tat = PyLong_AsLongLongAndOverflow(<object>state, &over_tat)
        if (
            over_now or over_cost or over_tat
            or not (0 <= c_now < self.latest and 0 <= c_cost < self.most_cost and tat < MOST)
        ):
            return self.any_arrival(state, cost, now)
        scaled = c_now * self.c_parts
        if tat < scaled:
            tat = scaled
        tat += c_cost * self.c_step
        return PyLong_FromLongLong(tat) if tat - scaled <= self.c_full else None

    cdef object any_arrival(self, PyObject* state, object cost, object now):
        scaled = now * self.parts
        tat = scaled
        if state != NULL and <object>state > scaled:
            tat = <object>state
        tat = tat + cost * self.step
        return tat if tat - scaled <= self.full else None


cdef class Door:
    """A lock that tells without a call whether somebody is inside; see taking."""

    def __init__(self):
        self.renew()

    def renew(self):
        """Be open, whoever was inside; see taking."""
        lock = threading.Lock()
        self.locked, self._acquire, self._release = lock.locked, lock.acquire, lock.release
        self.inside = False

    def __enter__(self):
        self.enter()

    def __exit__(self, kind, error, where):
        self.leave()

    cdef int enter(self) except -1:
        self._acquire()
        self.inside = True
        return 0

    cdef int leave(self) except -1:
        self.inside = False
        self._release()
        return 0


cdef class Taker:
    """See taking."""

    def __init__(self, list shards, decides, buckets, place, get, lock=None):
        self._shards = shards
        self._count = len(shards[0]) if shards else 1
        self._decides = list(decides)
        self._buckets = [None if numbers is None else Bucket(numbers) for numbers in buckets]
        self.lock = Door() if lock is None else lock
        self._place = place
        self._get = get

    def decide(self, claims, now):
        """Let all *claims* pass, or none; see taking."""
        cdef list places, states
        cdef Py_ssize_t index
        if len(claims) == 1:
            number, key, cost = claims[0]
            wait, state = self._one(number, key, cost, now)
            return (0 if wait else -1), wait, [state]
        for claim in claims:
            if (<list>self._buckets)[<Py_ssize_t>(<tuple>claim)[0]] is None:
                break
        else:
            outcome = self._quickly(claims, now)
            if outcome is not None:
                return outcome
        self.lock.enter()
        try:
            places, states = [], []
            for index, (number, key, cost) in enumerate(claims):
                mark = hash_of(key)
                shard = self._shard(number, mark)
                state = shard.get(mark)
                if state is None:
                    shard, mark = self._place(number, mark, now)
                    state = shard.get(mark)
                wait, state = self._decides[number](state, now, cost)
                if wait:
                    return index, wait, [self._get(number, key) for number, key, _ in claims]
                places.append((shard, mark))
                states.append(state)
            for (shard, mark), state in zip(places, states):
                if state is not None:
                    shard[mark] = state
        finally:
            self.lock.leave()
        return -1, 0, states

    def decide_one(self, Py_ssize_t number, bytes key, cost, now):
        """Do the same for a single claim; see taking."""
        return self._one(number, key, cost, now)

    def bind(self, steps):
        """Return what decides for a key about *steps*; see taking."""
        return Steps(self, steps).decide

    cdef tuple _one(self, Py_ssize_t number, bytes key, cost, now):
        cdef object mark = hash_of(key)
        cdef object shard = self._shard(number, mark)
        cdef object bucket = self._buckets[number]
        cdef PyObject* found
        if bucket is not None and not self.lock.inside:
            found = PyDict_GetItemWithError(shard, mark)
            if found != NULL or PyDict_Size(shard) < shard.sweep_at:
                tat = (<Bucket>bucket).arrival(found, cost, now)
                if tat is not None:
                    PyDict_SetItem(shard, mark, tat)
                    return 0, tat
                return self._decides[number](<object>found if found != NULL else None, now, cost)
        self.lock.enter()
        try:
            state = shard.get(mark)
            if state is None:
                shard, mark = self._place(number, mark, now)
                state = shard.get(mark)
            wait, state = self._decides[number](state, now, cost)
            if not wait and state is not None:
                shard[mark] = state
        finally:
            self.lock.leave()
        return wait, state

    cdef object _quickly(self, claims, now):
        """Decide about buckets; None if a key has no place, somebody is refused, or is inside."""
        cdef list shards = [], marks = [], states = []
        cdef Py_ssize_t index, number
        cdef PyObject* found
        for claim in claims:
            number = (<tuple>claim)[0]
            mark = hash_of((<tuple>claim)[1])
            shard = self._shard(number, mark)
            shards.append(shard)
            marks.append(mark)
        if self.lock.inside:
            return None
        # From here on nothing is made that could set off a collection, which runs Python code.
        for index in range(len(marks)):
            claim = claims[index]
            number = (<tuple>claim)[0]
            found = PyDict_GetItemWithError(shards[index], marks[index])
            if found == NULL and PyDict_Size(shards[index]) >= shards[index].sweep_at:
                return None
            tat = (<Bucket>self._buckets[number]).arrival(found, (<tuple>claim)[2], now)
            if tat is None:
                return None
            states.append(tat)
        for index in range(len(marks)):
            PyDict_SetItem(shards[index], marks[index], states[index])
        return -1, 0, states

    cdef object _shard(self, Py_ssize_t number, mark):
        cdef unsigned long long code = mark
        return (<list>self._shards[number])[<Py_ssize_t>(code % <unsigned long long>self._count)]


cdef class Steps:
    """What Taker.bind gives."""

    def __init__(self, Taker taker, steps):
        self.taker = taker
        self.steps = list(steps)
        self.number = -1
        if len(self.steps) == 1:
            self.number, self.cost = self.steps[0]
            self.bucket = taker._buckets[self.number]

    def decide(self, bytes key, now):
        """Return what Taker.decide does."""
        tat = self.quickly(key, now)
        if tat is not None:
            return -1, 0, [tat]
        if self.number >= 0:
            wait, state = self.taker._one(self.number, key, self.cost, now)
            return (0 if wait else -1), wait, [state]
        return self.taker.decide([(number, key, cost) for number, cost in self.steps], now)

    cdef object quickly(self, bytes key, now):
        """Let a single step pass, and return its state; None, with nothing done, where there is more to it."""
        cdef PyObject* found
        if self.bucket is None or self.taker.lock.inside:
            return None
        mark = hash_of(key)
        shard = self.taker._shard(self.number, mark)
        found = PyDict_GetItemWithError(shard, mark)
        tat = None if found == NULL else self.bucket.arrival(found, self.cost, now)
        if tat is not None:
            PyDict_SetItem(shard, mark, tat)
        return tat


cdef inline object hash_of(key):
    return PyLong_FromUnsignedLongLong(<unsigned long long>PyObject_Hash(key) & HASH_BITS)
