# Which requests of a service its page cache may answer; see pages.pyx.

from wsgistack.balancer.plane.core cimport Client
from wsgistack.balancer.plane.exchange cimport Exchange
from wsgistack.balancer.plane.wire cimport Head

# 1: answered out of the ready table. Else ex.way says which way the request goes.
cdef int pages_answer(Client* c, const Head* h, const char* p) noexcept nogil
# Tell the client that the cache could not be asked.
cdef void pages_tell_fallback(Exchange* ex) noexcept nogil
