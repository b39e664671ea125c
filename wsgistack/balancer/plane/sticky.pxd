# Sticky sessions: which node a request belongs to, and how its client is told to come back.

from wsgistack.balancer.plane.core cimport Client, Conn
from wsgistack.balancer.plane.exchange cimport Exchange
from wsgistack.balancer.plane.wire cimport Head, RequestRewrite

cdef enum Sticky:
    STICKY_OFF = 0
    STICKY_COOKIE                # a cookie of ours
    STICKY_LEARN                 # one of the application's

# A request head is here: find its node, and keep our cookie from going on. Only if service.sticky is set.
cdef void sticky_begin(Client* c, const Head* h, const char* p, RequestRewrite* r) noexcept nogil
# A response head may come next: prepare what is added to it.
cdef void sticky_prepare(Client* c, Conn* conn) noexcept nogil
# It came: remember whose the client is now.
cdef void sticky_absorb(Client* c, Conn* conn) noexcept nogil
cdef void sticky_drop(Exchange* ex) noexcept nogil
