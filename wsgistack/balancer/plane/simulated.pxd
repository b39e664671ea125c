# A Net whose calls go to a Python object: the whole plane on a virtual network and clock.

from wsgistack.balancer.plane.net cimport Net

cdef const Net* simulated_net() noexcept nogil
