# The access log: one line a request, gathered in a buffer of the worker and written in whole lines.

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from wsgistack.balancer.plane.core cimport Client, Core, Node
from wsgistack.balancer.plane.exchange cimport Exchange
from wsgistack.balancer.plane.wire cimport Head, RequestRewrite

# A request begins: keep what its line says of it, since its bytes go. `h` NULL: there is no head.
# Call it only while core.log.format is set.
cdef void log_begin(Client* c, const Head* h, const char* p, const RequestRewrite* r) noexcept nogil
# It goes to this node.
cdef void log_node(Exchange* ex, Node* node) noexcept nogil
# It is over: write its line. Only if log_begin was called, that is if ex.log holds anything.
cdef void log_end(Client* c) noexcept nogil
# Write to `path` from now on (see Plane.open_log); OSError.
cdef int log_open(Core* core, str path, str format) except -1
cdef int log_close(Core* core) except -1
# Once a tick: hand the lines to the system; return an event if lines were lost, at most once a second.
cdef object log_keep(Core* core)
