"""A segment of the shared store: a table of entries that outlives whoever works on it.

**The argument.**  A process may be killed at any instruction, with the segment's lock held.  Then

1. the kernel hands the lock to the next who asks, and tells it so (a robust mutex: EOWNERDEAD);
2. what it finds is right, because *the truth is the buckets alone*: their heads, the `next` words
   of the entries that hang on them, and those entries' cells.  An entry's cells are filled before
   anything leads to them and never changed afterwards, and every operation has one commit: one
   aligned word that is stored whole.  It leads to a new entry (in place of an old one, if there
   was one), or past a removed one.  Before it nothing has happened, after it everything has;
3. the rest (free cells, lines, their counts) is derived: `rebuild` walks the buckets and makes it
   anew.  It writes nothing that is truth, so it may die too, any number of times.

In place are changed only `until`, `uses`, and a counter's `token` and `count`, one word each; a
counter's token goes first, so that no token ever stands for two counts.  Stores reach memory in
program order as far as this is concerned: a dead process has executed all instructions up to one
and none behind it, and the compiler moves none across STEP.  STEP marks every place that makes a
difference; tests/store/shm/test_death.py dies at each of them, in every operation, once, and
tests/live/test_shm_killed.py at thousands of random ones.

A stopped process (SIGSTOP) is not a dead one: who waits for its lock is told so after a deadline.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from wsgistack.store.shm.cells cimport (
    STEP,
    Cursor,
    begin,
    cells_for,
    cells_of,
    entry_at,
    matches,
    put,
)
from wsgistack.store.shm.lines cimport dequeue, enqueue, is_ghost, remember

cdef enum:
    LOOKED_AT = 16               # pinned entries per wish for room: a full store must not cost a scan each time
    SMALL_SHARE = 10             # as in queues.py
    LARGEST_SHARE = 4            # one entry takes at most a quarter of a segment
    RESERVE_SHARE = 64           # cells kept for replacing what is there when all is pinned


# ---- Where things are


cdef size_t aligned(size_t size) noexcept nogil:
    return (size + CELL - 1) // CELL * CELL


cdef View view_at(char* base, uint32_t cell_count) noexcept nogil:
    cdef View v
    cdef uint32_t buckets = cell_count // 4 + 1
    v.head = <Segment*>base
    base += HEAD_BYTES
    v.buckets = <uint32_t*>base
    base += aligned(buckets * sizeof(uint32_t))
    v.ghosts = <Ghost*>base
    base += aligned(buckets * sizeof(Ghost))
    v.links = <uint32_t*>base
    base += aligned((cell_count + 1) * sizeof(uint32_t))
    v.marks = <uint8_t*>base
    base += aligned(cell_count // 8 + 1)
    v.cells = <uint8_t*>base
    v.cell_count = cell_count
    v.bucket_count = buckets
    return v


cdef size_t segment_bytes(uint32_t cell_count) noexcept nogil:
    cdef View v = view_at(NULL, cell_count)
    return <size_t>v.cells + (<size_t>cell_count + 1) * CELL


cdef void format_segment(View* v) noexcept nogil:
    # The memory is zero: no bucket leads anywhere.
    rebuild(v)
    v.head.recoveries = 0


cdef uint32_t most_cells(View* v) noexcept nogil:
    return v.cell_count // LARGEST_SHARE


cdef uint32_t count_entries(View* v) noexcept nogil:
    return v.head.lines[SMALL].entries + v.head.lines[MAIN].entries + v.head.lines[PINNED].entries


cdef uint32_t bucket_of(View* v, uint64_t code) noexcept nogil:
    return <uint32_t>((<uint64_t><uint32_t>code * v.bucket_count) >> 32)


# ---- Finding, making, publishing


cdef uint32_t find(View* v, Request* r, uint32_t** lead) noexcept nogil:
    """Return the key's entry or 0, and in *lead* the word that leads to it, or the bucket's head."""
    cdef uint32_t trace = <uint32_t>(r.code >> 32)
    cdef uint32_t* at = v.buckets + bucket_of(v, r.code)
    cdef Entry* e
    cdef Cursor c
    lead[0] = at
    while at[0]:
        e = entry_at(v, at[0])
        if e.trace == trace and e.key_bytes == r.key_bytes:
            c = begin(at[0])
            if matches(v, &c, r.key, r.key_bytes):
                lead[0] = at
                return at[0]
        at = &e.next
    return 0


cdef uint32_t find_live(View* v, Request* r, uint32_t** lead) noexcept nogil:
    """Return the entry, or 0 if there is none or it has expired; that one is removed."""
    cdef uint32_t cell = find(v, r, lead)
    if cell and entry_at(v, cell).until <= r.now:
        discard(v, lead[0])
        find(v, r, lead)
        return 0
    return cell


cdef void discard(View* v, uint32_t* lead) noexcept nogil:
    """Remove the entry that *lead* leads to."""
    cdef uint32_t cell = lead[0]
    STEP(v)
    lead[0] = entry_at(v, cell).next     # commit
    STEP(v)
    dequeue(v, cell)
    STEP(v)
    release(v, cell)


cdef void release(View* v, uint32_t cell) noexcept nogil:
    """Give the cells of an entry back that nothing leads to any more."""
    cdef uint32_t count = cells_of(entry_at(v, cell))
    cdef uint32_t last = cell
    while v.links[last]:
        last = v.links[last]
    v.links[last] = v.head.free
    STEP(v)
    v.head.free = cell
    STEP(v)
    v.head.free_cells += count


cdef uint32_t allot(View* v, uint32_t count, int64_t now, bint replaces) noexcept nogil:
    """Return the first of *count* linked cells, or 0 if what is left is pinned; other entries may go for it."""
    cdef uint32_t reserve = 0 if replaces else v.cell_count // RESERVE_SHARE
    cdef uint32_t first, last, i
    if v.head.free_cells < count + reserve:
        drop_expired_pinned(v, now)
    while v.head.free_cells < count + reserve:
        if not evict(v, now):
            return 0
    first = last = v.head.free
    for i in range(count - 1):
        last = v.links[last]
    STEP(v)
    v.head.free = v.links[last]
    STEP(v)
    v.head.free_cells -= count
    v.links[last] = 0
    return first


cdef uint32_t make(View* v, Request* r, bint is_counter, bint replaces) noexcept nogil:
    """Return a filled entry that nothing leads to yet, or 0 if there is no room for it."""
    cdef uint32_t value_bytes = 0 if is_counter else r.value_bytes
    cdef uint32_t cell = allot(v, cells_for(r.key_bytes, value_bytes), r.now, replaces)
    cdef Entry* e
    cdef Cursor c
    if cell == 0:
        return 0
    e = entry_at(v, cell)
    v.head.tokens += 1
    e.token = v.head.tokens
    e.until = r.until
    e.count = r.count
    e.bucket = bucket_of(v, r.code)
    e.trace = <uint32_t>(r.code >> 32)
    e.key_bytes = r.key_bytes
    e.value_bytes = value_bytes
    e.kind = COUNTER if is_counter else BYTES
    e.uses = 0
    e.line = PINNED if r.pinned else SMALL
    c = begin(cell)
    put(v, &c, r.key, r.key_bytes)
    STEP(v)
    if not is_counter:
        put(v, &c, r.value, value_bytes)
    STEP(v)
    return cell


cdef void publish(View* v, Request* r, uint32_t cell) noexcept nogil:
    """Make an entry the one of its key, in place of what was there."""
    cdef uint32_t* lead = NULL
    cdef uint32_t old = find(v, r, &lead)
    cdef Entry* e = entry_at(v, cell)
    cdef Entry* before
    e.next = entry_at(v, old).next if old else lead[0]
    if old:
        before = entry_at(v, old)
        e.uses = before.uses
        if before.line == PINNED and before.until > r.now:
            e.line = PINNED
        elif e.line != PINNED:
            e.line = before.line if before.line != PINNED else SMALL
    elif e.line != PINNED and is_ghost(v, e.trace):
        e.line = MAIN
    STEP(v)
    lead[0] = cell                       # commit
    STEP(v)
    if old:
        dequeue(v, old)
        STEP(v)
    enqueue(v, cell, e.line)
    STEP(v)
    if old:
        release(v, old)


# ---- Making room


cdef bint evict(View* v, int64_t now) noexcept nogil:
    """Let one entry go that is not pinned; False if there is none."""
    cdef Queue* small = &v.head.lines[SMALL]
    cdef Queue* main = &v.head.lines[MAIN]
    cdef uint32_t cell
    cdef Entry* e
    while small.oldest or main.oldest:
        if small.oldest and (small.cells > v.cell_count // SMALL_SHARE or not main.oldest):
            cell = small.oldest
            e = entry_at(v, cell)
            if e.until > now and e.uses:
                e.uses = 0
                dequeue(v, cell)
                STEP(v)
                enqueue(v, cell, MAIN)
                continue
            if e.until > now:
                remember(v, e.trace)
        else:
            cell = main.oldest
            e = entry_at(v, cell)
            if e.until > now and e.uses:
                e.uses -= 1
                dequeue(v, cell)
                STEP(v)
                enqueue(v, cell, MAIN)
                continue
        v.head.evictions += 1
        discard(v, lead_to(v, cell))
        return True
    return False


cdef void drop_expired_pinned(View* v, int64_t now) noexcept nogil:
    cdef Queue* q = &v.head.lines[PINNED]
    cdef uint32_t cell
    cdef int i
    for i in range(LOOKED_AT):
        cell = q.oldest
        if not cell:
            return
        if entry_at(v, cell).until <= now:
            discard(v, lead_to(v, cell))
        else:
            dequeue(v, cell)
            STEP(v)
            enqueue(v, cell, PINNED)


cdef uint32_t* lead_to(View* v, uint32_t cell) noexcept nogil:
    """Return the word that leads to an entry."""
    cdef uint32_t* at = v.buckets + entry_at(v, cell).bucket
    while at[0] != cell:
        at = &entry_at(v, at[0]).next
    return at


# ---- All at once


cdef void clear(View* v) noexcept nogil:
    """Remove everything."""
    cdef uint32_t b
    for b in range(v.bucket_count):
        v.buckets[b] = 0
        STEP(v)
    rebuild(v)


# ---- After a death


cdef void rebuild(View* v) noexcept nogil:
    """Make all that is derived anew from the buckets."""
    cdef uint32_t b, cell, marked = 0
    cdef uint32_t* at
    memset(v.marks, 0, v.cell_count // 8 + 1)
    memset(v.head.lines, 0, sizeof(v.head.lines))
    STEP(v)
    for b in range(v.bucket_count):
        at = v.buckets + b
        while at[0]:
            if not mark(v, at[0], &marked):
                at[0] = 0                # never seen; foreign damage must not become a crash
                break
            enqueue(v, at[0], entry_at(v, at[0]).line)
            STEP(v)
            at = &entry_at(v, at[0]).next
    v.head.free = 0
    for cell in range(v.cell_count, 0, -1):
        if not v.marks[cell >> 3] & (1 << (cell & 7)):
            v.links[cell] = v.head.free
            v.head.free = cell
    STEP(v)
    v.head.free_cells = v.cell_count - marked
    v.head.recoveries += 1


cdef bint mark(View* v, uint32_t cell, uint32_t* marked) noexcept nogil:
    """Mark the cells of an entry as used; False if it is not one."""
    cdef Entry* e
    cdef uint32_t count, i
    if cell > v.cell_count:
        return False
    e = entry_at(v, cell)
    count = cells_of(e)
    if count > most_cells(v) or e.line >= LINES:
        return False
    for i in range(count):
        if not 0 < cell <= v.cell_count or v.marks[cell >> 3] & (1 << (cell & 7)):
            return False
        v.marks[cell >> 3] |= <uint8_t>(1 << (cell & 7))
        cell = v.links[cell]
    marked[0] += count
    return cell == 0


cdef int check(View* v) noexcept nogil:
    """Return 0 if truth and what is derived agree, else a number that says what does not; for tests."""
    cdef uint32_t b, cell, used = 0, entries = 0, waiting = 0, free = 0, line
    memset(v.marks, 0, v.cell_count // 8 + 1)
    for b in range(v.bucket_count):
        cell = v.buckets[b]
        while cell:
            if entry_at(v, cell).bucket != b:
                return 1
            if not mark(v, cell, &used):
                return 2
            entries += 1
            cell = entry_at(v, cell).next
    for line in range(LINES):
        cell = v.head.lines[line].oldest
        while cell:
            waiting += 1
            if entry_at(v, cell).line != line or waiting > entries:
                return 3
            cell = entry_at(v, cell).after
    if waiting != entries or count_entries(v) != entries:
        return 4
    cell = v.head.free
    while cell:
        free += 1
        if free > v.cell_count or v.marks[cell >> 3] & (1 << (cell & 7)):
            return 5
        cell = v.links[cell]
    if free != v.head.free_cells or free + used != v.cell_count:
        return 6
    return 0
