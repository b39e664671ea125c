"""What may answer a request before a node is touched: an answer ends it here.

In this order: the limits of its service, its split (who answers nothing, but says for whom pages are), and its
page cache.  Whoever answers sets what own_answer.pyx does (own, why,
status, res_state, started, own_body) and writes the whole answer into ex.down; nothing was written
for a node yet, so that a refusal costs none of that.
"""

from wsgistack.balancer.plane.core cimport Client
from wsgistack.balancer.plane.gate cimport gate_answers
from wsgistack.balancer.plane.pages cimport pages_answer
from wsgistack.balancer.plane.split cimport split_begin
from wsgistack.balancer.plane.wire cimport F_BUCKET, Head


cdef int front_answers(Client* c, const Head* h, const char* p) noexcept nogil:
    if c.inner:                  # it was here before
        if h.seen >> F_BUCKET & 1:
            split_begin(c, h, p)
        return 0
    if c.service.gate != NULL and gate_answers(c, h, p):
        return 1
    if c.service.split != NULL:
        split_begin(c, h, p)
    return c.service.pages != NULL and pages_answer(c, h, p)
