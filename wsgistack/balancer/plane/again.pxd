# The next try of a request whose last one failed.

from wsgistack.balancer.plane.core cimport Client, Conn, Core
from wsgistack.balancer.plane.exchange cimport Exchange

# 1: the request was put back and goes to another connection; 0: the client is told what happened.
# `keep_conn`: the connection is as good as new (its answer is not passed on).
cdef int try_again(Client* c, int failure, int why, int keep_conn) noexcept nogil
# A node's head is here: judge the node by it.
cdef void count_outcome(Client* c, const Exchange* ex, const Conn* conn) noexcept nogil
# A node has answered: count it, whether or not the client gets to see that.
cdef void count_response(Core* core, const Exchange* ex, const Conn* conn) noexcept nogil
