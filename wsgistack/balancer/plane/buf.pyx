"""Byte buffers from four size classes with free lists (one set per process, one thread).

A connection holds a buffer only while it has bytes in it, so ten thousand idle ones hold
none.  Free lists are last in, first out: the buffer handed out is the one still in cache.
"""

from libc.stdint cimport uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memmove

cdef enum:
    CLASSES = 4
    SMALLEST = 4096              # class i holds SMALLEST << 2 * i bytes: 4, 16, 64, 256 KiB
    LARGEST = SMALLEST << 2 * (CLASSES - 1)
    KEEP_BYTES = 4194304         # free bytes kept per class

cdef struct Free:
    Free* next

cdef Free* free_list[CLASSES]
cdef uint32_t free_count[CLASSES]


cdef inline int class_of(uint32_t n) noexcept nogil:
    cdef int i = 0
    while i < CLASSES and (<uint32_t>SMALLEST << (2 * i)) < n:
        i += 1
    return i


cdef char* take(uint32_t n, uint32_t* cap) noexcept nogil:
    cdef int i = class_of(n)
    cdef Free* f
    if i == CLASSES:
        cap[0] = (n + 65535) & ~<uint32_t>65535
        return <char*>malloc(cap[0])
    cap[0] = <uint32_t>SMALLEST << (2 * i)
    f = free_list[i]
    if f != NULL:
        free_list[i] = f.next
        free_count[i] -= 1
        return <char*>f
    return <char*>malloc(cap[0])


cdef void give(char* p, uint32_t cap) noexcept nogil:
    cdef int i = class_of(cap)
    cdef Free* f = <Free*>p
    if i == CLASSES or free_count[i] >= <uint32_t>KEEP_BYTES // cap:
        free(p)
        return
    f.next = free_list[i]
    free_list[i] = f
    free_count[i] += 1


cdef int buf_reserve(Buf* b, uint32_t n) noexcept nogil:
    cdef uint32_t used = b.end - b.start, cap
    cdef char* p
    if b.cap - b.end >= n:
        return 0
    if n > 0x7fffffff - used:
        return -1
    if b.cap >= used + n:
        memmove(b.p, b.p + b.start, used)
    else:
        # Beyond the classes by half at least: by 64 KiB each time a long response to a slow client would be
        # copied over and over.
        cap = used + n
        if b.cap >= LARGEST and cap < b.cap + (b.cap >> 1):
            cap = b.cap + (b.cap >> 1)
        p = take(cap, &cap)
        if p == NULL:
            return -1
        if b.p != NULL:
            memcpy(p, b.p + b.start, used)
            give(b.p, b.cap)
        b.p = p
        b.cap = cap
    b.start = 0
    b.end = used
    return 0


cdef int buf_append(Buf* b, const char* p, uint32_t n) noexcept nogil:
    if n == 0:
        return 0                 # an empty buffer has no memory that memcpy could be given
    if buf_reserve(b, n) != 0:
        return -1
    memcpy(b.p + b.end, p, n)
    b.end += n
    return 0


cdef void buf_consume(Buf* b, uint32_t n) noexcept nogil:
    b.start += n
    if b.start == b.end:
        buf_release(b)


cdef void buf_release(Buf* b) noexcept nogil:
    if b.p != NULL:
        give(b.p, b.cap)
    b.p = NULL
    b.cap = 0
    b.start = 0
    b.end = 0
