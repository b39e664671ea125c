# One segment of the shared store: its layout, and what is done in it with its lock held: see segment.pyx.

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

cdef extern from "<pthread.h>" nogil:
    ctypedef struct pthread_mutex_t:
        pass

cdef enum:
    CELL = 64
    HEAD_BYTES = 512             # of a segment, before its tables

cdef enum:
    BYTES, COUNTER

cdef enum:
    SMALL, MAIN, PINNED, LINES

cdef enum:
    SET, ADD, CAS

cdef enum Status:
    DONE, NOTHING, FULL, TOO_LARGE, NO_COUNT, TOO_HIGH, NO_ROOM


cdef struct Entry:               # the begin of an entry's first cell; its key and value follow, over as many as needed
    int64_t until                # ns of CLOCK_MONOTONIC
    uint64_t token
    int64_t count                # of a COUNTER
    uint32_t next                # in its bucket
    uint32_t after               # in its line: the next younger one
    uint32_t before
    uint32_t bucket
    uint32_t trace               # 32 bits of the key's hash
    uint32_t key_bytes
    uint32_t value_bytes         # 0 for a COUNTER
    uint8_t uses
    uint8_t line
    uint8_t kind
    uint8_t pad


cdef struct Queue:
    uint32_t oldest
    uint32_t youngest
    uint32_t cells
    uint32_t entries


cdef struct Ghost:
    uint32_t trace
    uint32_t age


cdef struct Segment:             # lies in the mapping, HEAD_BYTES before its tables
    pthread_mutex_t lock
    uint64_t tokens              # the last one given
    uint32_t free                # the first free cell, 0: none
    uint32_t free_cells
    uint32_t ghost_clock
    uint32_t pad
    Queue lines[3]
    uint64_t hits
    uint64_t misses
    uint64_t evictions
    uint64_t recoveries


cdef struct View:                # of this process: where a segment's parts are
    Segment* head
    uint32_t* buckets
    Ghost* ghosts
    uint32_t* links              # the cell that follows a cell, in an entry or among the free ones
    uint8_t* marks               # one bit a cell; for rebuild alone
    uint8_t* cells               # number 0 means none and is not used
    uint32_t cell_count
    uint32_t bucket_count
    long steps_left              # 0; a test sets after how many steps this process dies


cdef struct Request:             # one operation, what it needs and what comes of it
    uint64_t code                # of the key
    const char* key
    uint32_t key_bytes
    uint32_t value_bytes
    const char* value
    int64_t now
    int64_t until
    int64_t by
    int64_t first
    uint64_t token
    int mode
    bint refresh
    bint pinned
    char* out                    # room for the value that is read
    uint32_t out_room
    uint32_t out_bytes           # what it takes, also when it is more than the room
    int64_t count


cdef View view_at(char* base, uint32_t cell_count) noexcept nogil
cdef size_t segment_bytes(uint32_t cell_count) noexcept nogil
cdef void format_segment(View* v) noexcept nogil
cdef void rebuild(View* v) noexcept nogil
cdef void clear(View* v) noexcept nogil
cdef int check(View* v) noexcept nogil
cdef uint32_t count_entries(View* v) noexcept nogil
cdef uint32_t most_cells(View* v) noexcept nogil
cdef uint32_t find_live(View* v, Request* r, uint32_t** lead) noexcept nogil
cdef void discard(View* v, uint32_t* lead) noexcept nogil
cdef uint32_t make(View* v, Request* r, bint is_counter, bint replaces) noexcept nogil
cdef void publish(View* v, Request* r, uint32_t cell) noexcept nogil
