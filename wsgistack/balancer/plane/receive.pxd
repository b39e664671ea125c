# Reading from a client.

from wsgistack.balancer.plane.core cimport Client

# Read once into c.inp, at most `want` bytes of room. Return the bytes, 0 at the end (c.eof), or -errno.
cdef ssize_t client_read(Client* c, unsigned int want) noexcept nogil
