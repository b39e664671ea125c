from libc.stdint cimport uint8_t, uint32_t

from wsgistack.balancer.plane.message cimport Field, Head

# Parse field lines and the empty line after them from p[i:n] into h.fields, h.seen and h.has_drops.
# Field kinds of the set `dropped` get drop = 1, a second line of a kind in `single` is a fault.
# Return the offset after the empty line, 0 (more bytes are needed), or -fault.
cdef int parse_fields(const uint8_t* p, uint32_t i, uint32_t n, Head* h, uint32_t dropped, uint32_t single) noexcept nogil

cdef enum:
    LINE_JUDGED = 0x80000000     # in Head.scan: the first line is complete and was judged

# False while a parse of p[0:n] could only say again that bytes are missing.
cdef bint is_worth_a_parse(const uint8_t* p, size_t n, Head* h) noexcept nogil

# The first field of a kind that came (its bit of h.seen is set).
cdef const Field* find_field(const Head* h, int id) noexcept nogil
