from libc.stdint cimport uint8_t

from wsgistack.balancer.plane.message cimport Head

# What read_connection found, as a set of bits.
cdef enum ConnectionOption:
    OPTION_CLOSE = 1
    OPTION_KEEP_ALIVE = 2
    OPTION_UPGRADE = 4

# Read all Connection lines: return the options that mean something to the plane, and set
# `drop` in the fields that the others name.
cdef int read_connection(const uint8_t* p, Head* h) noexcept nogil
# True if a line of Upgrade offers websocket.
cdef bint offers_websocket(const uint8_t* p, const Head* h) noexcept nogil
