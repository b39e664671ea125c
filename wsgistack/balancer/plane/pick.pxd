# Choosing a node, and taking a place on it.

from wsgistack.balancer.plane.core cimport Core, Member, Node, Pool
from wsgistack.balancer.plane.exchange cimport Exchange

cdef enum Found:
    FOUND_NONE = 0               # no node can be used
    FOUND_FULL                   # those that could be have as many requests as they may
    FOUND_NODE

# Choose a node for the exchange and count the request on it, see pick.pyx; give_place undoes that.
cdef int take_place(Core* core, Pool* pool, const Exchange* ex, Node** node) noexcept nogil
cdef void give_place(Core* core, Node* node) noexcept nogil
# Could a request that waits for the pool go on, be it with an error? No: its nodes are full.
cdef int pool_has_room(Core* core, const Pool* pool) noexcept nogil
# Could a node of the pool take one more request?
cdef int pool_is_free(Core* core, const Pool* pool) noexcept nogil
# Is there a node that could be asked and was not, the present one apart?
cdef int has_other(const Pool* pool, const Exchange* ex) noexcept nogil
# A pool's members have changed: what is the same for every request is worked out here.
cdef void prepare_pool(Pool* pool) noexcept nogil
