# Answers of our own: what is said when no node's answer can be passed on.

from wsgistack.balancer.plane.exchange cimport Exchange

# Answer the request ourselves. The client's connection is kept only if `keep`.
cdef void ex_answer(Exchange* ex, int status, int why, int keep, int retry_after, int tokens) noexcept nogil
# The fixed word of the log.
cdef const char* why_name(const Exchange* ex) noexcept nogil
