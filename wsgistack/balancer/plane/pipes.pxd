# Moving bytes between sockets without entering user space.

from libc.stdint cimport uint64_t

from wsgistack.balancer.plane.core cimport Core, Endpoint, Relay

cdef Relay* relay_new() noexcept nogil                      # NULL: no pipe to be had, copy instead
cdef void relay_free(Relay* relay) noexcept nogil
# Move bytes source -> pipe (at most *left) -> sink, as far as both allow.
# Return the bytes that reached the sink; *ended: the source is at its end; *error: -errno of source or sink.
cdef enum SpliceSide:
    SPLICE_OK = 0
    SPLICE_SOURCE_END
    SPLICE_SOURCE_ERROR
    SPLICE_SINK_ERROR
cdef uint64_t relay_splice(Core* core, Relay* relay, Endpoint* source, Endpoint* sink, uint64_t* left, int* what,
                           int* error) noexcept nogil
