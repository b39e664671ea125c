from libc.stdint cimport uint8_t

from wsgistack.balancer.plane.message cimport Head

# Set h.content_length and h.chunked from the fields that came; return a fault or 0.
# may_end_it: the end of the connection may be that of the body, as with responses.
cdef int read_framing(const uint8_t* p, Head* h, bint may_end_it) noexcept nogil
