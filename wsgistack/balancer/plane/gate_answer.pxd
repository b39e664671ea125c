# What clients are told of their limits; see gate_answer.pyx.

from libc.stdint cimport uint64_t

from wsgistack.balancer.plane.core cimport Client
from wsgistack.balancer.plane.exchange cimport Exchange
from wsgistack.balancer.plane.gates cimport Claims
from wsgistack.balancer.plane.wire cimport Head

# Write the fields that tell what is left into ex.told, for the head of the response.
cdef void gate_tell(Exchange* ex, const Claims* all, uint64_t now_us) noexcept nogil
# Answer a client that is not served at all.
cdef void gate_deny(Client* c, const Head* h, const char* p) noexcept nogil
# Answer a request that was refused.
cdef void gate_refuse(Client* c, const Claims* all, const Head* h, const char* p) noexcept nogil
