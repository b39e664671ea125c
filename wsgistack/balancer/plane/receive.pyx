"""Reading from a client."""

from libc.errno cimport EAGAIN
from libc.stdint cimport uint32_t

from wsgistack.balancer.plane.buf cimport buf_len, buf_release, buf_reserve, buf_room, buf_tail
from wsgistack.balancer.plane.core cimport Client, client_counts


cdef ssize_t client_read(Client* c, unsigned int want) noexcept nogil:
    cdef ssize_t r
    if buf_reserve(&c.inp, want) != 0:
        return -12
    want = buf_room(&c.inp)
    r = c.ep.core.net.recv(c.ep.fd, buf_tail(&c.inp), want)
    if r > 0:
        c.inp.end += <uint32_t>r
        c.last_in_ms = c.ep.core.now_ms
        client_counts(c).bytes_in += r
        if <uint32_t>r < want and not c.ep.rdhup:
            c.ep.readable = 0
        return r
    if r == -EAGAIN:
        c.ep.readable = 0
    elif r == 0:
        c.eof = 1
        c.ep.readable = 0
    if buf_len(&c.inp) == 0:
        buf_release(&c.inp)
    return r
