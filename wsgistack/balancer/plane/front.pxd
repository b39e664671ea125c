# What may answer a request before a node is touched; see front.pyx.

from wsgistack.balancer.plane.core cimport Client
from wsgistack.balancer.plane.wire cimport Head

# 1: the request is answered, and ex.down holds all of it. c.ex has taken the head (ex_take).
cdef int front_answers(Client* c, const Head* h, const char* p) noexcept nogil
