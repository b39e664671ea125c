"""What can be done with one key of a segment.  The caller holds the segment's lock.

Why a death at any instruction does no harm is told in segment.pyx; here every operation makes a
new entry and publishes it, removes one, or changes one word of a counter.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdio cimport snprintf

from wsgistack.store.shm.cells cimport STEP, Cursor, begin, cells_for, entry_at, skip, take
from wsgistack.store.shm.lines cimport dequeue, enqueue
from wsgistack.store.shm.segment cimport (
    ADD,
    CAS,
    COUNTER,
    DONE,
    FULL,
    NO_COUNT,
    NO_ROOM,
    NOTHING,
    PINNED,
    TOO_HIGH,
    TOO_LARGE,
    Entry,
    Request,
    Status,
    View,
    discard,
    find_live,
    make,
    most_cells,
    publish,
)

cdef enum:
    MOST_USES = 3
    MOST_DIGITS = 19

cdef int64_t LARGEST_COUNT = 9223372036854775807



cdef Status read(View* v, Request* r) noexcept nogil:
    """Give the value and its token; NO_ROOM with `out_bytes` when the value is longer than the room for it."""
    cdef uint32_t* lead = NULL
    cdef uint32_t cell = find_live(v, r, &lead)
    cdef Entry* e
    cdef Cursor c
    if not cell:
        v.head.misses += 1
        return NOTHING
    e = entry_at(v, cell)
    r.token = e.token
    if e.kind == COUNTER:
        r.out_bytes = snprintf(r.out, r.out_room, "%lld", <long long>e.count)
    else:
        r.out_bytes = e.value_bytes
        if e.value_bytes > r.out_room:
            return NO_ROOM
        c = begin(cell)
        skip(v, &c, e.key_bytes)
        take(v, &c, r.out, e.value_bytes)
    v.head.hits += 1
    if e.uses < MOST_USES:
        e.uses += 1
    return DONE


cdef Status write(View* v, Request* r) noexcept nogil:
    """Store the value where the mode allows it, NOTHING where not; what fails for room leaves nothing."""
    cdef uint32_t* lead = NULL
    cdef uint32_t old = find_live(v, r, &lead)
    cdef uint32_t cell
    if (r.mode == ADD and old) or (r.mode == CAS and (not old or entry_at(v, old).token != r.token)):
        return NOTHING
    if cells_for(r.key_bytes, r.value_bytes) > most_cells(v):
        if old:
            discard(v, lead)
        return TOO_LARGE
    cell = make(v, r, False, old != 0)
    if not cell:
        remove(v, r)
        return FULL
    publish(v, r, cell)
    r.token = entry_at(v, cell).token
    return DONE


cdef Status step(View* v, Request* r) noexcept nogil:
    """Count on; `count` and `token` are what came of it."""
    cdef uint32_t* lead = NULL
    cdef uint32_t cell = find_live(v, r, &lead)
    cdef Entry* e = entry_at(v, cell)
    cdef Status problem
    if not cell:
        r.count = r.first
        return replace_count(v, r, False)
    if e.kind == COUNTER:
        r.count = e.count
    else:
        problem = read_count(v, cell, &r.count)
        if problem != DONE:
            return problem
    if r.by > 0 and r.count > LARGEST_COUNT - r.by:
        return TOO_HIGH
    r.count = max(r.count + r.by, 0)
    if e.kind != COUNTER:
        if not r.refresh:
            r.until = e.until
        return replace_count(v, r, True)
    count_on(v, r, cell)
    return DONE


cdef void count_on(View* v, Request* r, uint32_t cell) noexcept nogil:
    """Change a counter in place."""
    cdef Entry* e = entry_at(v, cell)
    v.head.tokens += 1
    e.token = v.head.tokens
    STEP(v)
    e.count = r.count                    # commit
    STEP(v)
    if r.refresh:
        e.until = r.until
    if e.uses < MOST_USES:
        e.uses += 1
    if r.pinned and e.line != PINNED:
        dequeue(v, cell)
        STEP(v)
        enqueue(v, cell, PINNED)
    r.token = e.token


cdef Status replace_count(View* v, Request* r, bint replaces) noexcept nogil:
    cdef uint32_t cell
    if cells_for(r.key_bytes, 0) > most_cells(v):
        return TOO_LARGE
    cell = make(v, r, True, replaces)
    if not cell:
        return FULL
    publish(v, r, cell)
    r.token = entry_at(v, cell).token
    return DONE


cdef Status read_count(View* v, uint32_t cell, int64_t* count) noexcept nogil:
    """Read the digits of a value that somebody stored as bytes."""
    cdef Entry* e = entry_at(v, cell)
    cdef char digits[MOST_DIGITS]
    cdef Cursor c = begin(cell)
    cdef uint64_t number = 0
    cdef uint32_t i
    if not 0 < e.value_bytes <= MOST_DIGITS:
        return NO_COUNT
    skip(v, &c, e.key_bytes)
    take(v, &c, digits, e.value_bytes)
    for i in range(e.value_bytes):
        if not c'0' <= digits[i] <= c'9':
            return NO_COUNT
        number = number * 10 + <uint64_t>(digits[i] - c'0')
    if number > <uint64_t>LARGEST_COUNT:
        return TOO_HIGH
    count[0] = <int64_t>number
    return DONE


cdef Status touch(View* v, Request* r) noexcept nogil:
    """Give an entry a new end."""
    cdef uint32_t* lead = NULL
    cdef uint32_t cell = find_live(v, r, &lead)
    if not cell:
        return NOTHING
    entry_at(v, cell).until = r.until
    return DONE


cdef Status remove(View* v, Request* r) noexcept nogil:
    """Remove an entry."""
    cdef uint32_t* lead = NULL
    if not find_live(v, r, &lead):
        return NOTHING
    discard(v, lead)
    return DONE
