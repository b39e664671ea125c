"""Moving bytes between sockets with splice(2): source socket -> pipe -> sink socket.

A pipe holds what a slow reader has not taken yet.  Pipes are kept in a small free list, as
making one costs three system calls; where none can be made the caller copies.
"""

from libc.errno cimport EAGAIN
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, malloc

from wsgistack.balancer.plane.core cimport Core, Endpoint, Relay

cdef extern from *:
    """
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE
    #endif
    #include <fcntl.h>
    #include <unistd.h>
    """
    int pipe2(int* fds, int flags) nogil
    int fcntl(int fd, int command, ...) nogil
    int close(int fd) nogil
    enum:
        O_NONBLOCK
        O_CLOEXEC
        F_SETPIPE_SZ

cdef enum:
    PIPE_BYTES = 262144          # asked for; the kernel may give less to users over its soft limit
    PIPES_KEPT = 64

cdef Relay* free_list = NULL
cdef int free_count = 0


cdef Relay* relay_new() noexcept nogil:
    global free_list, free_count
    cdef Relay* relay = free_list
    cdef int fds[2]
    if relay != NULL:
        free_list = relay.next
        free_count -= 1
        return relay
    if pipe2(fds, O_NONBLOCK | O_CLOEXEC) != 0:
        return NULL
    relay = <Relay*>malloc(sizeof(Relay))
    if relay == NULL:
        close(fds[0])
        close(fds[1])
        return NULL
    fcntl(fds[1], F_SETPIPE_SZ, PIPE_BYTES)
    relay.source = fds[0]
    relay.sink = fds[1]
    relay.filled = 0
    return relay


cdef void relay_free(Relay* relay) noexcept nogil:
    global free_list, free_count
    if relay == NULL:
        return
    if relay.filled == 0 and free_count < PIPES_KEPT:
        relay.next = free_list
        free_list = relay
        free_count += 1
        return
    close(relay.source)
    close(relay.sink)
    free(relay)


cdef uint64_t relay_splice(Core* core, Relay* relay, Endpoint* source, Endpoint* sink, uint64_t* left, int* what,
                           int* error) noexcept nogil:
    cdef uint64_t moved = 0
    cdef ssize_t r
    cdef int rounds
    what[0] = SPLICE_OK
    for rounds in range(4):      # one fast pair must not keep the others waiting
        if source.readable and left[0] and relay.filled < PIPE_BYTES:
            r = core.net.splice(source.fd, relay.sink, left[0] if left[0] < PIPE_BYTES else PIPE_BYTES)
            if r > 0:
                relay.filled += <uint32_t>r
                left[0] -= r
            elif r == -EAGAIN:
                # The source is empty, or the pipe is full (its pages need not be filled up): with
                # bytes in the pipe the sink's turn comes first and the source is asked again.
                if relay.filled == 0:
                    source.readable = 0
            else:
                what[0] = SPLICE_SOURCE_END if r == 0 else SPLICE_SOURCE_ERROR
                error[0] = <int>-r
                source.readable = 0
        if relay.filled == 0 or not sink.writable:
            break
        r = core.net.splice(relay.source, sink.fd, relay.filled)
        if r > 0:
            relay.filled -= <uint32_t>r
            moved += r
        elif r == -EAGAIN:
            sink.writable = 0
            break
        else:
            what[0] = SPLICE_SINK_ERROR
            error[0] = <int>-r
            break
        if what[0] != SPLICE_OK:
            break
    return moved
