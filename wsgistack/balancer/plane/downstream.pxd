# Connections of clients: reading heads, keeping alive, lingering, closing.

from wsgistack.balancer.plane.core cimport Client, Core, Service

cdef void down_event(Client* c, unsigned int events) noexcept nogil
cdef void down_timer(Client* c) noexcept nogil
cdef void down_step(Client* c) noexcept nogil                   # go on as far as possible
cdef void down_close(Client* c, int reset) noexcept nogil
cdef void down_set_callbacks(Core* core) noexcept nogil
# Ask the service's idle clients to go: they get a second, then a clean end.
cdef void down_retire(Core* core, Service* service) noexcept nogil      # NULL: of all services
