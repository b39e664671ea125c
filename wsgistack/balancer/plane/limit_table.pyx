"""The states of all limits and keys in one mapping of fixed size: exact over all workers.

A key has WINDOW places to choose from, within one of 256 stripes.  Robust locks guard the stripes:
the kernel gives back what a killed worker held, and a state is written so that each word stands by
itself (limit_kernels.pyx).  No one sweeps: a place whose state has ended is free.

A full table forgives nobody.  A key that finds no place is counted together with all others of its
stripe that found none, and a key that finds a place later begins with what was counted there.

What requests hold while they run (limit_units.pyx) is held by a worker's seat, and the supervisor
gives a seat that lost its worker another generation: what the dead one held counts no more.
"""

import mmap
import os
import time

from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset
from posix.time cimport CLOCK_REALTIME, clock_gettime, timespec

from wsgistack.balancer.plane.limit_kernels cimport FOREVER
from wsgistack.store.shm.hash cimport siphash

cdef extern from "<pthread.h>" nogil:
    ctypedef struct pthread_mutexattr_t:
        pass
    int PTHREAD_PROCESS_SHARED
    int PTHREAD_MUTEX_ROBUST
    int pthread_mutexattr_init(pthread_mutexattr_t*)
    int pthread_mutexattr_setpshared(pthread_mutexattr_t*, int)
    int pthread_mutexattr_setrobust(pthread_mutexattr_t*, int)
    int pthread_mutexattr_destroy(pthread_mutexattr_t*)
    int pthread_mutex_init(pthread_mutex_t*, const pthread_mutexattr_t*)
    int pthread_mutex_trylock(pthread_mutex_t*)
    int pthread_mutex_timedlock(pthread_mutex_t*, const timespec*)
    int pthread_mutex_unlock(pthread_mutex_t*)
    int pthread_mutex_consistent(pthread_mutex_t*)

cdef extern from "<errno.h>" nogil:
    int EOWNERDEAD, EBUSY

cdef extern from *:
    """
    #if defined(__x86_64__) || defined(__i386__)
    #define wsgistack_limit_pause() __builtin_ia32_pause()
    #else
    #define wsgistack_limit_pause() ((void)0)
    #endif
    #define wsgistack_store(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)
    """
    void pause "wsgistack_limit_pause"() nogil
    void prefetch "__builtin_prefetch"(const void* p) nogil
    void store_word "wsgistack_store"(uint64_t* p, uint64_t v) nogil

cdef enum:
    HEADER = 4096
    SEATS_BYTES = 8192           # SEATS * sizeof(Seat)
    SPINS = 200                  # a decision takes 0.1 to 0.5 us
    PATIENCE_NS = 5000000        # for an owner that is stopped, or has lost its processor
    WRITING = 1

MAGIC = b"wsgilim2"
LEAST_STEP_US = 1_000_000
PLACES = 512                     # of each stripe: 131,072 keys in 4 MiB, of which only what is used is taken


cdef size_t table_size(uint64_t places):
    return HEADER + SEATS_BYTES + STRIPES * (sizeof(Stripe) + (SHARED + places) * sizeof(Place))


cdef TableView table_view(char* base, uint64_t places):
    cdef TableView t
    t.head = <TableHead*>base
    t.seats = <Seat*>(base + HEADER)
    t.stripes = <Stripe*>(base + HEADER + SEATS_BYTES)
    t.shared = <Place*>(t.stripes + STRIPES)
    t.places = t.shared + STRIPES * SHARED
    t.n = places
    return t


# -- locks ---------------------------------------------------------------------------------

cdef inline int owned(pthread_mutex_t* lock, int r) noexcept nogil:
    if r == EOWNERDEAD:
        pthread_mutex_consistent(lock)   # each word stands by itself: there is nothing to mend
        return 1
    return r == 0


cdef int table_lock(const TableView* t, uint32_t stripe) noexcept nogil:
    cdef pthread_mutex_t* lock = &t.stripes[stripe].lock
    cdef timespec until
    cdef int r, i
    for i in range(SPINS):
        r = pthread_mutex_trylock(lock)
        if r != EBUSY:
            return owned(lock, r)
        pause()
    clock_gettime(CLOCK_REALTIME, &until)
    until.tv_nsec += PATIENCE_NS
    if until.tv_nsec >= 1000000000:
        until.tv_nsec -= 1000000000
        until.tv_sec += 1
    return owned(lock, pthread_mutex_timedlock(lock, &until))


cdef void table_unlock(const TableView* t, uint32_t stripe) noexcept nogil:
    pthread_mutex_unlock(&t.stripes[stripe].lock)


# -- places --------------------------------------------------------------------------------

cdef uint64_t table_hash(const TableView* t, const char* key, uint32_t n) noexcept nogil:
    return siphash(key, n, t.head.secret)


cdef inline uint64_t mark_of(uint64_t key, uint64_t rate) noexcept nogil:
    cdef uint64_t mark = key ^ rate
    return mark if mark > WRITING else mark + 2


cdef Place* find(Place* places, uint64_t n, uint64_t window, uint64_t mark, int64_t now, Place** free) noexcept nogil:
    # The place of that mark, or NULL and the first that it could have, if any.
    cdef uint64_t at = (mark >> 32) * n >> 32, i
    cdef Place* place
    free[0] = NULL
    for i in range(window):
        place = &places[at]
        if place.mark == mark:
            return place
        if free[0] == NULL and place.state.ends_us <= now:
            free[0] = place
        if place.mark == 0:
            return NULL          # nobody ever went past it
        at = at + 1 if at + 1 < n else 0
    return NULL


cdef void table_expect(const TableView* t, uint64_t key, uint64_t rate) noexcept nogil:
    prefetch(t.places + (key & (STRIPES - 1)) * t.n + ((mark_of(key, rate) >> 32) * t.n >> 32))


cdef inline Place* find_own(const TableView* t, uint64_t key, uint64_t mark, int64_t now, Place** free) noexcept nogil:
    return find(t.places + (key & (STRIPES - 1)) * t.n, t.n, WINDOW if WINDOW < t.n else t.n, mark, now, free)


cdef inline Place* find_shared(const TableView* t, uint64_t key, uint64_t rate, int64_t now, Place** free) noexcept nogil:
    return find(t.shared + (key & (STRIPES - 1)) * SHARED, SHARED, SHARED, mark_of(0, rate), now, free)


cdef void table_read(const TableView* t, uint64_t key, uint64_t rate, int64_t now, LimitState* out) noexcept nogil:
    cdef Place* free = NULL
    cdef Place* place = find_own(t, key, mark_of(key, rate), now, &free)
    if place == NULL or place.state.ends_us <= now:
        place = find_shared(t, key, rate, now, &free)
    if place == NULL or place.state.ends_us <= now:
        memset(out, 0, sizeof(LimitState))
    else:
        out[0] = place.state


cdef inline void put(Place* place, uint64_t mark, const LimitState* state) noexcept nogil:
    # Another key's place bears no key while it is written, or a death would leave it the wrong state.
    if place.mark != mark:
        store_word(&place.mark, WRITING)
    place.state = state[0]
    store_word(&place.mark, mark)


cdef Place* table_put(const TableView* t, uint64_t key, uint64_t rate, int64_t now, const LimitState* state) noexcept nogil:
    cdef Place* free = NULL
    cdef uint64_t mark = mark_of(key, rate)
    cdef Place* place = find_own(t, key, mark, now, &free)
    if place == NULL:
        place = free
    if place == NULL:
        mark = mark_of(0, rate)
        place = find_shared(t, key, rate, now, &free)
        if place == NULL:
            place = free
    if place != NULL:
        put(place, mark, state)
    return place


cdef int table_write(const TableView* t, uint64_t key, uint64_t rate, int64_t now, const LimitState* state) noexcept nogil:
    return table_put(t, key, rate, now, state) != NULL


cdef void sweep_stripe(Place* places, uint64_t n, int64_t generation) noexcept nogil:
    cdef uint64_t i
    for i in range(n):
        if places[i].state.ends_us == FOREVER and places[i].state.b == generation:
            places[i].state.ends_us = 0


cdef void sweep(const TableView* t, uint64_t generation) noexcept nogil:
    # Free what a seat of that generation held: it has no end of its own.
    cdef uint32_t stripe
    for stripe in range(STRIPES):
        if table_lock(t, stripe):
            sweep_stripe(t.places + stripe * t.n, t.n, <int64_t>generation)
            sweep_stripe(t.shared + stripe * SHARED, SHARED, <int64_t>generation)
            table_unlock(t, stripe)


cdef uint64_t count_live(const Place* places, uint64_t n, int64_t now) noexcept nogil:
    cdef uint64_t i, live = 0
    for i in range(n):
        live += places[i].mark > WRITING and places[i].state.ends_us > now
    return live


# -- Python's side -------------------------------------------------------------------------

cdef class LimitTable:
    """The table behind the descriptor *fd*; `create` makes it, who inherits the descriptor attaches.

    ValueError for something else.  The methods are for the supervisor and for tests; *now* is
    CLOCK_MONOTONIC in microseconds, as `now` gives it, and *rate* the number that a snapshot has for a rate.
    """

    def __init__(self, fd: int):
        cdef Py_buffer buf
        size = os.fstat(fd).st_size
        if size < HEADER:
            raise ValueError(f"limits: {size} bytes is no table of limits")
        self.mapping = mmap.mmap(fd, size)
        PyObject_GetBuffer(self.mapping, &buf, PyBUF_WRITABLE)
        self.view.head = <TableHead*>buf.buf
        PyBuffer_Release(&buf)
        if self.mapping[:8] != MAGIC or size != table_size(self.view.head.places):
            raise ValueError("limits: wrong magic or size, made by another version")
        self.view = table_view(<char*>self.view.head, self.view.head.places)
        self.size = size
        self.fd = fd

    @staticmethod
    def create(places: int = PLACES) :
        """Make an empty table for 256 times *places* keys."""
        cdef LimitTable table
        cdef pthread_mutexattr_t attributes
        cdef int i
        if not 1 <= places <= 1 << 20:
            raise ValueError(f"places: {places} is not from 1 to 2**20")
        fd = os.memfd_create("wsgistack-limits")
        os.ftruncate(fd, table_size(places))
        os.pwrite(fd, MAGIC + int(places).to_bytes(8, "little") + os.urandom(16), 0)
        table = LimitTable(fd)
        pthread_mutexattr_init(&attributes)
        pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED)
        pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST)
        for i in range(STRIPES):
            pthread_mutex_init(&table.view.stripes[i].lock, &attributes)
        pthread_mutexattr_destroy(&attributes)
        table.keep_time(time.time_ns() // 1000 - table.now())
        return table

    @staticmethod
    def now() -> int:
        """Return the time by which states are kept."""
        return time.monotonic_ns() // 1000

    def keep_time(self, offset_us: int) -> None:
        """Let windows of the calendar follow the clock on the wall, which is *offset_us* ahead of `now`."""
        self.view.head.offset_us = offset_us

    @property
    def keys(self) -> int:
        """How many places it has of their own; those that are shared are not among them."""
        return STRIPES * self.view.n

    def count_used(self, now: int) -> tuple:
        """Return (places in use, shared places in use): with any of the latter, clients are counted together.

        Reads without a lock, and only what memory was ever taken for: 1 ms at the usual size.
        """
        return self.count_in(<char*>self.view.places, now), self.count_in(<char*>self.view.shared, now)

    cdef uint64_t count_in(self, const char* region, int64_t now) except? 0:
        cdef const char* base = <const char*>self.view.head
        cdef size_t start = region - base, live = 0
        cdef size_t end = self.size if region > <char*>self.view.shared else start + STRIPES * SHARED * sizeof(Place)
        while True:
            try:
                first = os.lseek(self.fd, start, os.SEEK_DATA)
            except OSError:          # nothing but a hole
                return live
            start = min(os.lseek(self.fd, first, os.SEEK_HOLE), end)
            if first >= end:
                return live
            live += count_live(<const Place*>(base + <size_t>first), (start - <size_t>first) // sizeof(Place), now)

    @property
    def offset_us(self) -> int:
        """How far ahead it is."""
        return self.view.head.offset_us

    def follow_clock(self) -> None:
        """Do so if the clock was set, by a second at least; workers would differ by what it is read late."""
        offset_us = time.time_ns() // 1000 - self.now()
        if abs(offset_us - self.view.head.offset_us) >= LEAST_STEP_US:
            self.keep_time(offset_us)

    def take_seats(self, count: int) -> int:
        """Give seats in a row to *count* workers and return the first; ValueError if there are not so many."""
        cdef int first, i
        for first in range(SEATS - <int>count + 1):
            if not any([self.view.seats[first + i].generation for i in range(<int>count)]):
                for i in range(first, first + <int>count):
                    self.renew_seat(i)
                self.view.head.top = max(self.view.head.top, <uint32_t>(first + <int>count))
                return first
        raise ValueError(f"limits: no {count} of {SEATS} seats are free")

    def renew_seat(self, seat: int) -> None:
        """Let another worker have that seat: what the one before held is free."""
        self.vacate(seat, int.from_bytes(os.urandom(8), "little") >> 1 | 1)

    def keep_seats(self, kept: list) -> None:
        """Free all seats but those of the ranges *kept*: their workers are gone for good."""
        cdef int seat
        for seat in range(<int>self.view.head.top):
            if self.view.seats[seat].generation and not any([seat in seats for seats in kept]):
                self.vacate(seat, 0)

    cdef vacate(self, int seat, uint64_t generation):
        cdef Seat* s = &self.view.seats[seat]
        cdef uint64_t before = s.generation
        cdef bint used = s.used
        s.used = 0
        s.generation = generation
        if used:
            sweep(&self.view, before)

    def get(self, key: bytes, rate: int, now: int) -> tuple:
        """Return (ends_us, a, b) of a key, zeros if nothing is known of it; TimeoutError if that is locked."""
        cdef LimitState state
        cdef uint64_t hashed = table_hash(&self.view, key, len(key)), mark = rate
        cdef uint32_t stripe = hashed & (STRIPES - 1)
        if not table_lock(&self.view, stripe):
            raise TimeoutError
        table_read(&self.view, hashed, mark, now, &state)
        table_unlock(&self.view, stripe)
        return state.ends_us, state.a, state.b

    def put(self, key: bytes, rate: int, now: int, words: tuple) -> bool:
        """Set the state of a key; False if there is no room."""
        cdef LimitState state
        state.ends_us, state.a, state.b = words
        return self.change(key, rate, now, &state) == 1

    cdef int change(self, bytes key, uint64_t rate, int64_t now, const LimitState* state) except -1:
        cdef uint64_t hashed = table_hash(&self.view, key, len(key))
        cdef uint32_t stripe = hashed & (STRIPES - 1)
        cdef int done
        if not table_lock(&self.view, stripe):
            raise TimeoutError
        done = table_write(&self.view, hashed, rate, now, state)
        table_unlock(&self.view, stripe)
        return done

    def credential(self, value: bytes) -> bytes:
        """Return the key under which a credential is counted, see asker.pyx."""
        cdef uint64_t hashed = table_hash(&self.view, value, len(value))
        return b"h" + (<char*>&hashed)[:8]

    def look_at_bans(self) -> None:
        """From now on workers look at bans where no limit makes any."""
        self.view.head.banned = 1

    def hold(self, key: bytes) -> None:
        """Take the lock of a key's stripe and keep it, for the tests."""
        if not table_lock(&self.view, table_hash(&self.view, key, len(key)) & (STRIPES - 1)):
            raise TimeoutError

    def release(self, key: bytes) -> None:
        """Give it back."""
        table_unlock(&self.view, table_hash(&self.view, key, len(key)) & (STRIPES - 1))

    def close(self) -> None:
        """Unmap it and close the descriptor; nothing may use it afterwards."""
        if self.fd >= 0:
            self.mapping.close()
            os.close(self.fd)
            self.fd = -1
