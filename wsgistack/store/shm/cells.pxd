# Cells: the fixed pieces of which entries are made, and the chains that they form.

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from wsgistack.store.shm.segment cimport CELL, Entry, View


cdef extern from *:
    """
    #include <signal.h>
    #include <stdatomic.h>

    /* The compiler moves no store over this: what precedes a commit is written before it. */
    static inline void wsgistack_order(void) { atomic_signal_fence(memory_order_seq_cst); }
    static inline void wsgistack_die(void) { raise(SIGKILL); }
    """
    void order "wsgistack_order"() noexcept nogil
    void die "wsgistack_die"() noexcept nogil


cdef inline void STEP(View* v) noexcept nogil:
    # A place where a process may die with something at stake.
    order()
    if v.steps_left:
        v.steps_left -= 1
        if v.steps_left == 0:
            die()


cdef inline Entry* entry_at(View* v, uint32_t cell) noexcept nogil:
    return <Entry*>(v.cells + <size_t>cell * CELL)


cdef inline uint32_t cells_for(uint64_t key_bytes, uint64_t value_bytes) noexcept nogil:
    return <uint32_t>((sizeof(Entry) + key_bytes + value_bytes + CELL - 1) // CELL)


cdef inline uint32_t cells_of(const Entry* e) noexcept nogil:
    return cells_for(e.key_bytes, e.value_bytes)


cdef struct Cursor:              # a place in an entry's bytes
    uint32_t cell
    uint32_t at


cdef inline Cursor begin(uint32_t cell) noexcept nogil:
    cdef Cursor c
    c.cell = cell
    c.at = sizeof(Entry)
    return c


cdef inline uint32_t span(View* v, Cursor* c, uint32_t most, uint8_t** place) noexcept nogil:
    # How many bytes, at most `most`, lie without a gap from the cursor on; it moves behind them.
    cdef uint32_t size
    if c.at == CELL:
        c.cell = v.links[c.cell]
        c.at = 0
    place[0] = v.cells + <size_t>c.cell * CELL + c.at
    size = CELL - c.at
    while size < most and v.links[c.cell] == c.cell + 1:
        c.cell += 1
        size += CELL
    if size > most:
        c.at = CELL - (size - most)
        return most
    c.at = CELL
    return size


cdef inline void skip(View* v, Cursor* c, uint32_t size) noexcept nogil:
    cdef uint8_t* place = NULL
    while size:
        size -= span(v, c, size, &place)


cdef inline void put(View* v, Cursor* c, const char* text, uint32_t size) noexcept nogil:
    cdef uint8_t* place = NULL
    cdef uint32_t n
    while size:
        n = span(v, c, size, &place)
        memcpy(place, text, n)
        text += n
        size -= n


cdef inline void take(View* v, Cursor* c, char* text, uint32_t size) noexcept nogil:
    cdef uint8_t* place = NULL
    cdef uint32_t n
    while size:
        n = span(v, c, size, &place)
        memcpy(text, place, n)
        text += n
        size -= n


cdef inline bint matches(View* v, Cursor* c, const char* text, uint32_t size) noexcept nogil:
    cdef uint8_t* place = NULL
    cdef uint32_t n
    while size:
        n = span(v, c, size, &place)
        if memcmp(text, place, n) != 0:
            return False
        text += n
        size -= n
    return True
