# The compiled kernels of balancer/algorithms: which of a pool's nodes takes a request.

from wsgistack.balancer.plane.core cimport Core, Node, Pool

cdef enum Kernel:
    KERNEL_PYTHON = -1
    KERNEL_RANDOM = 0
    KERNEL_ROUND_ROBIN
    KERNEL_LEAST
    KERNEL_TWO_CHOICES

# Return a node that is up, not on hold and not among tried[0:n_tried]; one on hold if no other
# is left; NULL if there is none at all.
cdef Node* pick_node(Core* core, Pool* pool, void** tried, int n_tried) noexcept nogil
