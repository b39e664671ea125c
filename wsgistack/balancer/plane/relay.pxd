# Between the two sides: one client's exchange, moved on as far as both allow.

from wsgistack.balancer.plane.core cimport Client

cdef enum Pumped:
    PUMP_WAIT = 0                # an event or a timer goes on with it
    PUMP_AGAIN                   # more could be done at once: others first
    PUMP_DONE                    # the response is with the client
    PUMP_CLOSE                   # the client's connection is to be closed
    PUMP_ABORT                   # the same with a reset: nothing else tells that the body is cut

cdef int relay_pump(Client* c) noexcept nogil
# The connection to the node stands and is verified.
cdef void relay_conn_ready(Client* c) noexcept nogil
# The connection to the node failed in its phase; it goes to the next node or answers.
cdef void relay_conn_failed(Client* c, int phase, int why, int error) noexcept nogil
# Answer, or cut, the exchange under way.
cdef void relay_fail(Client* c, int status, int why) noexcept nogil
cdef void relay_drop(Client* c) noexcept nogil       # free the exchange and what it holds
