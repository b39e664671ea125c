"""Limits that keep each unit apart: the stamps of `exact`, the places of `concurrent`.

The compiled twins of ratelimit/algorithms/exact.py and concurrent.py, over places of the table.

exact: a ring of as many stamps as the amount, each a state that ends when its unit is free again,
and a head that says where the oldest stands.  What passed before the last *amount* units says
nothing any more, so the ring forgets it.  The head is written first: who dies before the stamps has
counted a request that nobody answered, and leaves an older stamp in its place.

concurrent: each worker counts what its own requests hold, in a state for each key that only it
writes, and all are summed up.  A request ends by a subtraction, without a lock: a state that counts
something has no end, so nobody else can have its place.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memset

from wsgistack.balancer.plane.limit_kernels cimport FOREVER, LIMIT_EXACT, LIMIT_NEVER, LimitRate, LimitState, limit_fill
from wsgistack.balancer.plane.limit_table cimport (
    STRIPES,
    LimitTable,
    TableView,
    table_hash,
    table_lock,
    table_put,
    table_read,
    table_unlock,
    table_write,
)

cdef enum:
    MOST_STEPS = 2               # from the hint, before the rest is halved
    RETRY_US = 1000000           # of ratelimit/algorithms/concurrent.py: nobody knows when a place will be free


cdef inline uint64_t unit_rate(uint64_t rate, uint64_t number) noexcept nogil:
    # Under which a unit of that rate stands in the table. SplitMix64 (Steele, Lea, Flood 2014).
    cdef uint64_t x = (number + 1) * <uint64_t>0x9E3779B97F4A7C15
    x = (x ^ x >> 30) * <uint64_t>0xBF58476D1CE4E5B9
    x = (x ^ x >> 27) * <uint64_t>0x94D049BB133111EB
    return rate ^ x ^ x >> 31


# -- exact ---------------------------------------------------------------------------------

cdef inline int64_t stamp(const TableView* t, uint64_t key, uint64_t rate, int64_t now, int64_t at) noexcept nogil:
    # When that unit is free again; 0 if it is.
    cdef LimitState s
    table_read(t, key, unit_rate(rate, <uint64_t>at), now, &s)
    return s.ends_us


cdef int64_t count_ended(const TableView* t, uint64_t key, uint64_t rate, const LimitRate* r, int64_t now, const LimitState* head) noexcept nogil:
    # From the oldest on stamps are in order: first those that have ended. head.b says how many had when it was
    # written; that is a hint, which its neighbours prove, for whoever died may have left it wrong.
    cdef int64_t low = head.b if 0 < head.b <= r.amount else 0
    cdef int64_t high = r.amount, middle, tried = 0
    if low and stamp(t, key, rate, now, (head.a + low - 1) % r.amount):
        low = 0
    while low < high and tried < MOST_STEPS:
        if stamp(t, key, rate, now, (head.a + low) % r.amount):
            return low
        low += 1
        tried += 1
    while low < high:
        middle = (low + high) // 2
        if stamp(t, key, rate, now, (head.a + middle) % r.amount):
            high = middle
        else:
            low = middle + 1
    return low


cdef int64_t exact_look(const TableView* t, uint64_t key, uint64_t rate, const LimitRate* r, int64_t now, LimitState* seen) noexcept nogil:
    # Return where the oldest stamp stands.
    cdef LimitState head
    table_read(t, key, rate, now, &head)
    seen.ends_us = head.ends_us
    seen.a = count_ended(t, key, rate, r, now, &head) if head.ends_us else r.amount
    seen.b = stamp(t, key, rate, now, (head.a + seen.a) % r.amount) - now if seen.a < r.amount else 0
    return head.a


cdef int exact_add(const TableView* t, uint64_t key, uint64_t rate, const LimitRate* r, int64_t now, int64_t at, int64_t until, int64_t left) noexcept nogil:
    cdef LimitState s
    cdef int64_t i, units = r.cost if r.cost < r.amount else r.amount
    s.ends_us = until
    s.a = (at + units) % r.amount
    s.b = left if left > 0 else 0
    if not table_write(t, key, rate, now, &s):
        return 0
    s.a = 0
    for i in range(units):
        if not table_write(t, key, unit_rate(rate, <uint64_t>((at + i) % r.amount)), now, &s):
            return 0
    return 1


cdef inline int64_t exact_until(const LimitRate* r, int64_t now, int64_t latest) noexcept nogil:
    # In order even if another worker read its clock later than we did.
    return latest if latest > now + r.window_us else now + r.window_us


# -- concurrent ----------------------------------------------------------------------------

cdef int64_t count_held(const TableView* t, uint64_t key, uint64_t rate, int64_t now) noexcept nogil:
    cdef LimitState s
    cdef int64_t held = 0
    cdef uint32_t seat
    for seat in range(t.head.top):
        if t.seats[seat].generation and t.seats[seat].used:
            table_read(t, key, unit_rate(rate, seat), now, &s)
            if <uint64_t>s.b == t.seats[seat].generation:
                held += s.a
    return held


cdef void concurrent_look(const TableView* t, uint64_t key, uint64_t rate, const LimitRate* r, int64_t now, LimitState* seen) noexcept nogil:
    cdef int64_t held = count_held(t, key, rate, now)
    seen.ends_us = 0
    seen.a = r.amount - held if held < r.amount else 0
    seen.b = RETRY_US if held else 0


cdef int concurrent_take(const TableView* t, uint64_t key, uint64_t rate, const LimitRate* r, int64_t now, uint32_t seat, Lease* lease) noexcept nogil:
    cdef LimitState s
    cdef uint64_t generation = t.seats[seat].generation
    table_read(t, key, unit_rate(rate, seat), now, &s)
    if <uint64_t>s.b != generation:
        s.a = 0
    s.a += r.cost
    s.b = <int64_t>generation
    s.ends_us = FOREVER
    t.seats[seat].used = 1
    lease.place = table_put(t, key, unit_rate(rate, seat), now, &s)
    lease.units = r.cost
    return lease.place != NULL


cdef void units_release(Lease* lease) noexcept nogil:
    lease.place.state.a -= lease.units
    if lease.place.state.a <= 0:
        lease.place.state.ends_us = 0
    lease.place = NULL


# -- both ----------------------------------------------------------------------------------

cdef int64_t units_decide(const TableView* t, uint64_t key, uint64_t rate, const LimitRate* r, int64_t now,
                          LimitState* seen, int64_t* at) noexcept nogil:
    at[0] = 0
    if r.kind == LIMIT_EXACT:
        at[0] = exact_look(t, key, rate, r, now, seen)
    else:
        concurrent_look(t, key, rate, r, now, seen)
    if r.cost > r.amount:
        return LIMIT_NEVER
    if r.cost <= seen.a:
        return 0
    if r.kind == LIMIT_EXACT:
        return stamp(t, key, rate, now, (at[0] + r.cost - 1) % r.amount) - now
    return RETRY_US


cdef int units_take(const TableView* t, uint64_t key, uint64_t rate, const LimitRate* r, int64_t now, uint32_t seat,
                    LimitState* seen, int64_t at, Lease* lease) noexcept nogil:
    cdef int64_t until = exact_until(r, now, seen.ends_us)
    seen.a -= r.cost
    if r.kind == LIMIT_EXACT:
        seen.b = seen.b if seen.b else until - now
        return exact_add(t, key, rate, r, now, at, until, seen.a)
    seen.b = RETRY_US
    return concurrent_take(t, key, rate, r, now, seat, lease)


cdef void units_charge(const TableView* t, uint64_t key, uint64_t rate, const LimitRate* r, int64_t now) noexcept nogil:
    cdef LimitState seen
    cdef int64_t at
    if r.kind == LIMIT_EXACT:
        at = exact_look(t, key, rate, r, now, &seen)
        exact_add(t, key, rate, r, now, at, exact_until(r, now, seen.ends_us), seen.a - r.cost)


# -- Python's side -------------------------------------------------------------------------

def find_stamps(table: LimitTable, key: bytes, rate: int, amount: int, now: int) -> tuple:
    """Return when each unit that an exact limit counts for *key* is free again, in order.

    TimeoutError if that is locked by a process that is stopped.
    """
    cdef uint64_t hashed = table_hash(&table.view, key, len(key)), mark = rate
    cdef int64_t i
    if not table_lock(&table.view, hashed & (STRIPES - 1)):
        raise TimeoutError
    stamps = [stamp(&table.view, hashed, mark, now, i) for i in range(<int64_t>amount)]
    table_unlock(&table.view, hashed & (STRIPES - 1))
    return tuple(sorted(filter(None, stamps)))


def forget_stamps(table: LimitTable, key: bytes, rate: int, amount: int, now: int) -> None:
    """Free all that an exact limit counts for *key*; TimeoutError as above."""
    cdef uint64_t hashed = table_hash(&table.view, key, len(key)), mark = rate
    cdef LimitState nothing
    cdef int64_t i
    memset(&nothing, 0, sizeof(nothing))
    if not table_lock(&table.view, hashed & (STRIPES - 1)):
        raise TimeoutError
    for i in range(<int64_t>amount):
        table_write(&table.view, hashed, unit_rate(mark, <uint64_t>i), now, &nothing)
    table_write(&table.view, hashed, mark, now, &nothing)
    table_unlock(&table.view, hashed & (STRIPES - 1))


def count_places(table: LimitTable, key: bytes, rate: int, now: int) -> int:
    """Return how many places requests of *key* hold now; TimeoutError as above."""
    cdef uint64_t hashed = table_hash(&table.view, key, len(key)), mark = rate
    if not table_lock(&table.view, hashed & (STRIPES - 1)):
        raise TimeoutError
    held = count_held(&table.view, hashed, mark, now)
    table_unlock(&table.view, hashed & (STRIPES - 1))
    return held


# -- the face for tests --------------------------------------------------------------------

cdef class UnitsKernel:
    """One rate over one key of a table, driven from Python, for the tests; *numbers*: see LimitRate."""

    cdef LimitRate rate
    cdef LimitTable table
    cdef LimitState seen
    cdef uint64_t key
    cdef uint64_t id
    cdef uint32_t seat
    cdef list leases

    def __init__(self, table: LimitTable, numbers: dict, seat: int, *, key: bytes, rate: int = 1):
        limit_fill(&self.rate, numbers)
        self.table = table
        self.key = table_hash(&table.view, key, len(key))
        self.id = rate
        self.seat = seat
        self.leases = []

    def decide(self, now: int) -> int:
        """Return 0 if a request may pass, and let it, else its wait."""
        cdef int64_t at
        cdef Lease lease
        wait = units_decide(&self.table.view, self.key, self.id, &self.rate, now, &self.seen, &at)
        if wait:
            return wait
        lease.place = NULL
        if not units_take(&self.table.view, self.key, self.id, &self.rate, now, self.seat, &self.seen, at, &lease):
            raise MemoryError
        self.leases.append((<size_t>lease.place, lease.units))
        return 0

    def charge(self, now: int) -> None:
        """Count one whatever the limit says."""
        units_charge(&self.table.view, self.key, self.id, &self.rate, now)
        self.look(now)

    def release(self, index: int) -> None:
        """Let the request of that index that passed and was not released end."""
        cdef Lease lease
        place, lease.units = self.leases.pop(index)
        lease.place = <Place*><size_t>place
        units_release(&lease)

    cdef look(self, int64_t now):
        cdef int64_t at
        units_decide(&self.table.view, self.key, self.id, &self.rate, now, &self.seen, &at)

    def quota(self, now: int) -> tuple:
        """Return (units left, microseconds until there are more) as a request is told."""
        self.look(now)
        return self.seen.a, self.seen.b
