# Perlbal's Throttle: who asks again too soon waits; see throttle.pyx.

from wsgistack.balancer.plane.asker cimport Asker
from wsgistack.balancer.plane.buf cimport Buf
from wsgistack.balancer.plane.core cimport Client, Core, Service
from wsgistack.balancer.plane.gates cimport Gate, Throttle
from wsgistack.balancer.plane.wire cimport Head

# Count a request. 1: it is answered; 0: it goes on, at ex.retry_at_ms if it is delayed.
cdef int throttle_answers(Client* c, const Gate* gate, const Asker* who, const Head* h, const char* p, Buf* path) noexcept nogil
# It waits no more: its time is over, or it ends. Only where ex.delayed holds a place.
cdef void throttle_release(Client* c) noexcept nogil
# Let all that wait go on with the next tick, of one service or of all (NULL).
cdef void throttle_let_go(Core* core, const Service* service) noexcept nogil
cdef int throttle_fill(Throttle* r, dict spec) except -1
