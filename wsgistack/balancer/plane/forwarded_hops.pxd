# Who asked, as the Forwarded field tells it; see forwarded_hops.pyx.

from libc.stdint cimport uint8_t, uint32_t

cdef enum:
    MOST_HOPS = 64               # looked at from the right, see http/forwarded.py
    LONGEST_HOP = 80             # bytes


cdef struct Hop:                 # the `for` of an element; n = 0: it has none
    const char* p
    uint32_t n
    uint8_t quoted               # between quotes, with backslashes before some


cdef struct Hops:
    uint32_t n                   # elements; the last MOST_HOPS of them are kept
    Hop ring[MOST_HOPS]


# Find the elements of a combined Forwarded field, left to right.
cdef void find_hops(const char* p, uint32_t n, Hops* hops) noexcept nogil
# Write what the hop says that stands `back` places from the right; -1 if it is longer than LONGEST_HOP.
cdef int hop_text(const Hops* hops, uint32_t back, char* out) noexcept nogil
