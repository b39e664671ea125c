# S3-FIFO in a segment: the lines in which entries wait to leave (see wsgistack/store/queues.py for the rule).
# Lines, counts and ghosts are derived: rebuild makes them anew from the buckets.

from libc.stdint cimport uint8_t, uint32_t

from wsgistack.store.shm.cells cimport cells_of, entry_at
from wsgistack.store.shm.segment cimport Entry, Ghost, Queue, View


cdef inline void enqueue(View* v, uint32_t cell, uint8_t line) noexcept nogil:
    cdef Entry* e = entry_at(v, cell)
    cdef Queue* q = &v.head.lines[line]
    e.line = line
    e.before = q.youngest
    e.after = 0
    if q.youngest:
        entry_at(v, q.youngest).after = cell
    else:
        q.oldest = cell
    q.youngest = cell
    q.cells += cells_of(e)
    q.entries += 1


cdef inline void dequeue(View* v, uint32_t cell) noexcept nogil:
    cdef Entry* e = entry_at(v, cell)
    cdef Queue* q = &v.head.lines[e.line]
    if e.before:
        entry_at(v, e.before).after = e.after
    else:
        q.oldest = e.after
    if e.after:
        entry_at(v, e.after).before = e.before
    else:
        q.youngest = e.before
    q.cells -= cells_of(e)
    q.entries -= 1


cdef inline void remember(View* v, uint32_t trace) noexcept nogil:
    # A key left unused; a newer one takes an older one's place.
    cdef Ghost* g = v.ghosts + trace % v.bucket_count
    v.head.ghost_clock += 1
    g.trace = trace
    g.age = v.head.ghost_clock


cdef inline bint is_ghost(View* v, uint32_t trace) noexcept nogil:
    cdef Ghost* g = v.ghosts + trace % v.bucket_count
    if g.age == 0 or g.trace != trace or v.head.ghost_clock - g.age >= v.bucket_count:
        return False
    g.age = 0
    return True
