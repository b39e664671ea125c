# The head of a request as a node, or the keeper of the page cache, is to have it; see forward.pyx.

from wsgistack.balancer.plane.core cimport Client
from wsgistack.balancer.plane.request_id cimport ID_BYTES
from wsgistack.balancer.plane.wire cimport Head, RequestRewrite

# Say how the head is to be written; `id` is room for the name that is made for the request.
cdef void forward_begin(Client* c, const Head* h, const char* p, RequestRewrite* r, char* id) noexcept nogil
# Write it into ex.up, for whom ex.way says. Return a Reason.
cdef int forward_head(Client* c, const Head* h, const char* p, RequestRewrite* r) noexcept nogil
# The keeper could not take the request: let the pool have it. 1: done; 0: it can not be sent again.
cdef int forward_past_keeper(Client* c) noexcept nogil
