# Accepting connections of clients.

from wsgistack.balancer.plane.core cimport Listener

cdef void accept_clients(Listener* listener) noexcept nogil     # until the queue is empty or a batch is taken
cdef void last_call(Listener* l) noexcept
cdef void leave(Listener* l) noexcept
cdef prepare_listening(int fd)
