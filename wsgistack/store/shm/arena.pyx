"""The mapping that all processes share: segments, each with a lock that its owner's death gives back.

Everything between taking and giving a lock is C that allocates nothing, waits for nothing and
calls nobody: no Python code, no signal handler and no greenlet can come in between.
"""

import os

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.errno cimport EBUSY
from libc.math cimport isinf
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy, memset
from posix.time cimport CLOCK_MONOTONIC, CLOCK_REALTIME, clock_gettime, timespec

from wsgistack.store.shm.hash cimport siphash
from wsgistack.store.shm.operations cimport read, remove, step, touch, write
from wsgistack.store.shm.segment cimport (
    ADD,
    CAS,
    CELL,
    DONE,
    FULL,
    NO_COUNT,
    NO_ROOM,
    NOTHING,
    SET,
    TOO_HIGH,
    TOO_LARGE,
    Request,
    Status,
    View,
    check,
    clear,
    count_entries,
    format_segment,
    pthread_mutex_t,
    rebuild,
    segment_bytes,
    view_at,
)

from wsgistack.errors import CounterError, StoreDown, StoreFull, TooLarge

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
    int EOWNERDEAD

cdef extern from "<sys/mman.h>" nogil:
    void* mmap(void*, size_t, int, int, int, long)
    int munmap(void*, size_t)
    int PROT_READ, PROT_WRITE, MAP_SHARED
    void* MAP_FAILED

cdef extern from *:
    """
    #if defined(__x86_64__) || defined(__i386__)
    #define wsgistack_pause() __builtin_ia32_pause()
    #else
    #define wsgistack_pause() ((void)0)
    #endif
    """
    void pause "wsgistack_pause"() nogil

cdef enum:
    HEADER = 4096
    VERSION = 1
    SPINS = 200                  # a critical section takes 0.1 to 20 us
    ROUND_NS = 10000000          # waits are cut, so that a step of the wall clock does not prolong them
    SMALL_ROOM = 1024            # values up to here are read at the first attempt
    MOST_SEGMENTS = 64
    SEGMENT_BYTES = 4194304      # aimed at; one entry takes at most a quarter of a segment

cdef int64_t NEVER = 9223372036854775807
cdef int64_t LARGEST_COUNT = 9223372036854775807
MAGIC = b"wsgistack-shm\0\0\0"
LEAST_BYTES = 1024 * 1024
MOST_BYTES = 64 * 1024 * 1024 * 1024
LONGEST_KEY = 65536


cdef struct Header:
    char magic[16]
    uint64_t version
    uint64_t size
    uint64_t segments
    uint64_t cells               # of each segment
    uint64_t secret[2]           # of the hash


cdef int64_t now_ns() noexcept nogil:
    cdef timespec t
    clock_gettime(CLOCK_MONOTONIC, &t)
    return <int64_t>t.tv_sec * 1000000000 + t.tv_nsec


def plan(size: int) -> tuple[int, int]:
    """Return (segments, cells in each) of a store of *size* bytes; they fill it as far as they can."""
    segments = max(1, min(MOST_SEGMENTS, size // SEGMENT_BYTES))
    room = (size - HEADER) // segments // CELL * CELL
    cells = room // CELL
    while segment_bytes(cells) > room:
        cells -= max(1, (segment_bytes(cells) - room) // (CELL + 8))
    return segments, cells


def format_file(fd: int, size: int) -> None:
    """Make an empty store of the empty file behind *fd*, whose size is *size* already."""
    cdef pthread_mutexattr_t attributes
    cdef View v
    segments, cells = plan(size)
    cdef char* base = <char*>mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
    if <void*>base == MAP_FAILED:
        raise MemoryError(f"a store of {size} bytes cannot be mapped")
    cdef Header* header = <Header*>base
    secret = os.urandom(16)
    memcpy(header.secret, PyBytes_AS_STRING(secret), 16)
    header.version, header.size, header.segments, header.cells = VERSION, size, segments, cells
    pthread_mutexattr_init(&attributes)
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED)
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST)
    for number in range(segments):
        v = view_at(base + HEADER + <size_t>number * segment_bytes(cells), cells)
        pthread_mutex_init(&v.head.lock, &attributes)
        format_segment(&v)
    pthread_mutexattr_destroy(&attributes)
    memcpy(header.magic, PyBytes_AS_STRING(MAGIC), 16)
    munmap(base, size)


cdef class Arena:
    """The store in the file behind *fd*, made by `format_file`; *wait_s*: the deadline for a lock.

    ValueError if it is something else.  The descriptor may be closed afterwards.  Keys are bytes;
    *until_s* is seconds from now.
    """

    cdef char* base
    cdef size_t size
    cdef uint32_t segments
    cdef View* views
    cdef uint64_t secret[2]
    cdef int64_t wait_ns
    cdef readonly bint closed
    cdef public int64_t skew_ns      # added to the clock, for tests

    def __cinit__(self, fd: int, double wait_s):
        cdef Header* header
        size = os.fstat(fd).st_size
        if size < LEAST_BYTES:
            raise ValueError(f"{size} bytes are not a store")
        base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
        if base == MAP_FAILED:
            raise MemoryError(f"a store of {size} bytes cannot be mapped")
        self.base, self.size = <char*>base, size
        header = <Header*>self.base
        if memcmp(header.magic, PyBytes_AS_STRING(MAGIC), 16) != 0 or header.version != VERSION:
            raise ValueError("not a store, or one of another version of wsgistack")
        if header.size != self.size or (header.segments, header.cells) != plan(size):
            raise ValueError("a store whose size was changed")
        self.segments = header.segments
        self.views = <View*>calloc(self.segments, sizeof(View))
        if self.views == NULL:
            raise MemoryError
        memcpy(self.secret, header.secret, 16)
        self.wait_ns = <int64_t>(wait_s * 1e9)
        cdef size_t each = segment_bytes(header.cells)
        for number in range(self.segments):
            self.views[<int>number] = view_at(self.base + HEADER + <size_t>number * each, header.cells)

    def __dealloc__(self):
        free(self.views)
        if self.base != NULL:
            munmap(self.base, self.size)

    # ---- One operation

    cdef View* prepare(self, Request* r, bytes key) except NULL:
        """Fill the request's key and time in, and return the segment that it concerns."""
        if self.closed:
            raise StoreDown("the store is closed")
        memset(r, 0, sizeof(Request))
        r.key = PyBytes_AS_STRING(key)
        if PyBytes_GET_SIZE(key) > LONGEST_KEY:
            raise TooLarge(f"key: {len(key)} bytes; the most is {LONGEST_KEY}")
        r.key_bytes = <uint32_t>PyBytes_GET_SIZE(key)
        r.code = siphash(r.key, r.key_bytes, self.secret)
        r.now = now_ns() + self.skew_ns
        return self.views + (r.code >> 40) % self.segments

    cdef Status run(self, Status (*operation)(View*, Request*) noexcept nogil, View* v, Request* r) except *:
        """Take the lock, do it, give the lock back."""
        cdef Status status = NOTHING
        cdef int got = pthread_mutex_trylock(&v.head.lock)
        if got == EBUSY:
            with nogil:              # whoever holds it may need our interpreter to go on
                got = wait_for(v, self.wait_ns)
                r.now = now_ns() + self.skew_ns
                status = do(operation, v, r, got)
        else:
            status = do(operation, v, r, got)
        if got != 0 and got != EOWNERDEAD:
            raise StoreDown(f"another process has held a lock for {self.wait_ns / 1e9:g} s (error {got})")
        return status

    cdef void until(self, Request* r, double ttl_s):
        cdef double ns = ttl_s * 1e9
        r.until = NEVER if isinf(ttl_s) or ns >= <double>(NEVER - r.now) else r.now + <int64_t>ns

    cdef bint judge(self, Status status, bytes key) except -1:
        """Return True for DONE, False for NOTHING; raise for the rest."""
        if status == DONE:
            return True
        if status == NOTHING:
            return False
        if status == FULL:
            raise StoreFull(f"{key!r}: no room is left beside what is pinned")
        if status == TOO_LARGE:
            raise TooLarge(f"{key!r}: the most is {self.largest} bytes, key and head included")
        if status == TOO_HIGH:
            raise CounterError(f"{key!r}: the count would be above {LARGEST_COUNT}")
        raise CounterError(f"{key!r}: what is there is not a count")

    @property
    def largest(self) -> int:
        """The most bytes that key, value and head of one entry may take."""
        return self.views[0].cell_count // 4 * CELL

    def gets(self, bytes key) -> tuple[bytes, int] | None:
        """Return (value, token), or None if there is none."""
        cdef Request r
        cdef char small[SMALL_ROOM]
        cdef View* v = self.prepare(&r, key)
        cdef bytes large
        r.out, r.out_room = small, SMALL_ROOM
        cdef Status status = self.run(read, v, &r)
        if status == DONE:
            return PyBytes_FromStringAndSize(small, r.out_bytes), r.token
        while status == NO_ROOM:     # it may have grown meanwhile
            large = PyBytes_FromStringAndSize(NULL, max(r.out_bytes, 32))
            r.out, r.out_room = PyBytes_AS_STRING(large), PyBytes_GET_SIZE(large)
            status = self.run(read, v, &r)
            if status == DONE:
                return large[:r.out_bytes], r.token
        return None

    def write(self, bytes key, bytes value, double ttl_s, bint pinned, *, bint add=False, token=None) -> bool:
        """Store; with *add* only where nothing is, with *token* only over that entry."""
        cdef Request r
        cdef View* v = self.prepare(&r, key)
        self.until(&r, ttl_s)
        if PyBytes_GET_SIZE(value) >= self.size:
            self.delete(key)
            return self.judge(TOO_LARGE, key)
        r.value, r.value_bytes = PyBytes_AS_STRING(value), <uint32_t>PyBytes_GET_SIZE(value)
        r.pinned = pinned
        r.mode = ADD if add else SET
        if token is not None:
            r.mode, r.token = CAS, token
        return self.judge(self.run(write, v, &r), key)

    def step(self, bytes key, int64_t by, double ttl_s, int64_t first, bint refresh, bint pinned) -> tuple[int, int]:
        """Count; return (count, token)."""
        cdef Request r
        cdef View* v = self.prepare(&r, key)
        self.until(&r, ttl_s)
        r.by, r.first, r.refresh, r.pinned = by, first, refresh, pinned
        self.judge(self.run(step, v, &r), key)
        return r.count, r.token

    def touch(self, bytes key, double ttl_s) -> bool:
        """Give an entry a new end; return whether it is there."""
        cdef Request r
        cdef View* v = self.prepare(&r, key)
        self.until(&r, ttl_s)
        return self.judge(self.run(touch, v, &r), key)

    def delete(self, bytes key) -> bool:
        """Remove an entry; return whether it was there."""
        cdef Request r
        cdef View* v = self.prepare(&r, key)
        return self.judge(self.run(remove, v, &r), key)

    def clear(self) -> None:
        """Remove everything."""
        cdef Request r
        for number in range(self.segments):
            self.prepare(&r, b"")
            self.run(do_clear, self.views + <int>number, &r)

    # ---- All of it

    def stats(self) -> dict[str, int]:
        """Return the sums over all segments."""
        cdef Request r
        cdef View* v
        names = ("items", "bytes", "pinned", "hits", "misses", "evictions", "recoveries")
        sums = dict.fromkeys(names, 0)
        for number in range(self.segments):
            self.prepare(&r, b"")
            v = self.views + <int>number
            self.run(do_nothing, v, &r)
            sums["items"] += count_entries(v)
            sums["bytes"] += (v.cell_count - v.head.free_cells) * CELL
            sums["pinned"] += v.head.lines[2].entries
            sums["hits"] += v.head.hits
            sums["misses"] += v.head.misses
            sums["evictions"] += v.head.evictions
            sums["recoveries"] += v.head.recoveries
        sums["max_bytes"] = self.segments * self.views[0].cell_count * CELL
        return sums

    def check(self) -> list[int]:
        """Return what is wrong in each segment that is not right, as numbers of segment.pyx; for tests."""
        cdef Request r
        problems = []
        for number in range(self.segments):
            self.prepare(&r, b"")
            self.run(do_check, self.views + <int>number, &r)
            if r.count:
                problems.append(int(r.count))
        return problems

    def die_after(self, long steps) -> None:
        """Let this process die at its *steps*th step in each segment from now on; for tests."""
        for number in range(self.segments):
            self.views[<int>number].steps_left = steps

    def hold(self) -> None:
        """Take all locks and keep them, as a stopped process would; for tests, which end it."""
        for number in range(self.segments):
            pthread_mutex_trylock(&self.views[<int>number].head.lock)

    def close(self) -> None:
        """Let no operation begin from now on; the mapping goes with the object."""
        self.closed = True


cdef Status do(Status (*operation)(View*, Request*) noexcept nogil, View* v, Request* r, int got) noexcept nogil:
    """Do it if the lock was got, and give it back; after a death, mend the segment first."""
    if got == EOWNERDEAD:
        rebuild(v)
        pthread_mutex_consistent(&v.head.lock)
    elif got != 0:
        return NOTHING
    cdef Status status = operation(v, r)
    pthread_mutex_unlock(&v.head.lock)
    return status


cdef Status do_nothing(View* v, Request* r) noexcept nogil:
    return DONE


cdef Status do_clear(View* v, Request* r) noexcept nogil:
    clear(v)
    return DONE


cdef Status do_check(View* v, Request* r) noexcept nogil:
    r.count = check(v)
    return DONE


cdef int wait_for(View* v, int64_t wait_ns) noexcept nogil:
    """Return what taking the lock gave, EBUSY or ETIMEDOUT when it was not given in time."""
    cdef int64_t deadline = now_ns() + wait_ns
    cdef timespec t
    cdef int got = EBUSY
    cdef int i
    for i in range(SPINS):
        got = pthread_mutex_trylock(&v.head.lock)
        if got != EBUSY:
            return got
        pause()
    while now_ns() < deadline:
        clock_gettime(CLOCK_REALTIME, &t)
        t.tv_nsec += ROUND_NS
        if t.tv_nsec >= 1000000000:
            t.tv_nsec -= 1000000000
            t.tv_sec += 1
        got = pthread_mutex_timedlock(&v.head.lock, &t)
        if got == 0 or got == EOWNERDEAD:
            return got
    return got
