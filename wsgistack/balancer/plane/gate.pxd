# The limits of a service, asked before a node is touched; see gate.pyx.

from wsgistack.balancer.plane.core cimport Client, Core, Service
from wsgistack.balancer.plane.exchange cimport Exchange
from wsgistack.balancer.plane.wire cimport Head


# Count a request under the limits of its service and decide about it. 1: it is answered.
cdef int gate_answers(Client* c, const Head* h, const char* p) noexcept nogil
# The request is over: give back what limits of concurrency let it hold.
cdef void gate_release(Exchange* ex) noexcept nogil
cdef double gate_time(Core* core, Service* service, bytes head, int keys, int count) except -1
