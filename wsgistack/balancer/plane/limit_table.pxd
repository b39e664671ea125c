# The states of all limits and keys, in memory that all workers share; see limit_table.pyx.

from libc.stdint cimport int64_t, uint32_t, uint64_t

from wsgistack.balancer.plane.limit_kernels cimport LimitState

cdef enum:
    STRIPES = 256                # each with a lock of its own
    WINDOW = 16                  # places that a key may have
    SHARED = 512                 # places of a stripe for those that found none, by rate
    SEATS = 512                  # of workers, those of a balancer and of its successor
    MOST_KEYS = 8                # of a request: gates.MAX_LIMITS * MAX_KEYS


cdef extern from "<pthread.h>" nogil:
    ctypedef struct pthread_mutex_t:
        pass


cdef struct Place:               # 32 bytes
    uint64_t mark                # 0: never used, 1: being written
    LimitState state


cdef union Stripe:
    pthread_mutex_t lock
    char line[64]                # of the cache


cdef struct TableHead:
    char magic[8]
    uint64_t places              # of each stripe
    uint64_t secret[2]           # of the hash of keys
    uint64_t banned              # somebody was, by hand: bans are looked at where no rule has any
    int64_t offset_us            # the clock on the wall minus the time of states: all workers' windows of a day end together
    uint32_t top                 # no seat from here on was ever taken


cdef struct Seat:                # a worker: what it holds ends with it
    uint64_t generation          # 0: nobody's
    uint64_t used                # it holds, or held, something


cdef struct TableView:
    TableHead* head
    Seat* seats
    Stripe* stripes
    Place* shared
    Place* places
    uint64_t n                   # places of a stripe


# The hash of a key, by a secret of this table; its lowest byte names the stripe.
cdef uint64_t table_hash(const TableView* t, const char* key, uint32_t n) noexcept nogil
# Take a stripe's lock; 0 if its owner does not give it back in time, but is no more dead.
cdef int table_lock(const TableView* t, uint32_t stripe) noexcept nogil
cdef void table_unlock(const TableView* t, uint32_t stripe) noexcept nogil
# With its lock held: read the state of the key with hash `key` under `rate`; zeros if there is none.
cdef void table_read(const TableView* t, uint64_t key, uint64_t rate, int64_t now, LimitState* out) noexcept nogil
# With its lock held: write it; 0 if the table can not hold it even together with others.
cdef int table_write(const TableView* t, uint64_t key, uint64_t rate, int64_t now, const LimitState* state) noexcept nogil


# Ask for the memory where the state of that key will be looked for; several states come at the same time then.
cdef void table_expect(const TableView* t, uint64_t key, uint64_t rate) noexcept nogil


# The same, and where it stands now; NULL for 0.
cdef Place* table_put(const TableView* t, uint64_t key, uint64_t rate, int64_t now, const LimitState* state) noexcept nogil


# -- the locks of several keys ---------------------------------------------------------------

cdef struct Locks:               # stripes in ascending order, each once: whoever takes several does it in one order
    uint32_t n
    uint32_t stripes[MOST_KEYS]


cdef inline void locks_add(Locks* locks, uint64_t key) noexcept nogil:
    cdef uint32_t stripe = key & (STRIPES - 1), at = locks.n, i
    while at and locks.stripes[at - 1] > stripe:
        at -= 1
    if at and locks.stripes[at - 1] == stripe:
        return
    i = locks.n
    while i > at:
        locks.stripes[i] = locks.stripes[i - 1]
        i -= 1
    locks.stripes[at] = stripe
    locks.n += 1


cdef inline void locks_give(const TableView* t, const Locks* locks, uint32_t n) noexcept nogil:
    # The first n of them.
    while n:
        n -= 1
        table_unlock(t, locks.stripes[n])


cdef inline int locks_take(const TableView* t, const Locks* locks) noexcept nogil:
    # All of them; 0 and none if one is not to be had in time.
    cdef uint32_t i
    for i in range(locks.n):
        if not table_lock(t, locks.stripes[i]):
            locks_give(t, locks, i)
            return 0
    return 1


cdef class LimitTable:
    cdef readonly int fd
    cdef TableView view
    cdef size_t size
    cdef object mapping
    cdef vacate(self, int seat, uint64_t generation)
    cdef uint64_t count_in(self, const char* region, int64_t now) except? 0
    cdef int change(self, bytes key, uint64_t rate, int64_t now, const LimitState* state) except -1
