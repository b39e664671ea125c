from libc.stdint cimport uint8_t

from wsgistack.balancer.plane.message cimport Head

# Set h.content_length and h.chunked from the fields that came; return a fault or 0.
cdef int read_framing(const uint8_t* p, Head* h) noexcept nogil
