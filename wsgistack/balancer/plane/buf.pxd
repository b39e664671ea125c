# Byte buffers from size classes with free lists: an idle connection owns none.

from libc.stdint cimport uint32_t


cdef struct Buf:                 # the bytes are p[start:end]
    char* p
    uint32_t cap
    uint32_t start
    uint32_t end


cdef inline uint32_t buf_len(const Buf* b) noexcept nogil:
    return b.end - b.start

cdef inline char* buf_data(Buf* b) noexcept nogil:
    return b.p + b.start

cdef inline char* buf_tail(Buf* b) noexcept nogil:
    return b.p + b.end

cdef inline uint32_t buf_room(const Buf* b) noexcept nogil:
    return b.cap - b.end

# Make room for n more bytes behind the end (moves or grows). Return 0, or -1 without memory.
cdef int buf_reserve(Buf* b, uint32_t n) noexcept nogil
cdef int buf_append(Buf* b, const char* p, uint32_t n) noexcept nogil
# Drop n bytes from the front; an empty buffer gives its memory back.
cdef void buf_consume(Buf* b, uint32_t n) noexcept nogil
cdef void buf_release(Buf* b) noexcept nogil
