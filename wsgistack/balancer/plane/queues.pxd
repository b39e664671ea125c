# Requests that wait because every node has as many as it may.

from wsgistack.balancer.plane.core cimport Client, Core, Service
from wsgistack.balancer.plane.exchange cimport Exchange
from wsgistack.balancer.plane.message cimport Head

cdef enum:                       # the class of a request
    LANE_NORMAL = 0
    LANE_HIGH
    LANE_LOW

# Find the class of the client's request by its cookies; only if service.marked is set.
cdef void queue_class(Client* c, const Head* h, const char* p) noexcept nogil
# Does somebody wait for a node of the service's pool, in any worker? Then a new request stands behind.
cdef int queue_is_ahead(Core* core, const Service* service) noexcept nogil
# Has the request waited for as long as it may, over all its waits?
cdef int queue_is_over(const Core* core, const Exchange* ex) noexcept nogil
# Let the client's request wait; 0 if queue_size others do already.
cdef int queue_enter(Client* c) noexcept nogil
# It waits no more.
cdef void queue_leave(Client* c) noexcept nogil
# At the end of each batch of events: give the places that are free to those whose turn it is.
cdef void queue_serve(Core* core) noexcept nogil
# With each tick, and after each snapshot: look for our own, whatever others should have done.
cdef void queue_look_again(Core* core) noexcept nogil
# Know the eventfds of all workers, and watch the own one.
cdef int queue_set_wakes(Core* core, list wakes) except -1
# Another worker has left us a place.
cdef void queue_woken(Core* core) noexcept nogil
