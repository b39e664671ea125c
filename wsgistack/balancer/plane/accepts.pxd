# What a client would rather read, by its Accept fields.

from wsgistack.balancer.plane.wire cimport Head

# 1 for HTML rather than JSON: a browser, in short. RFC 9110 12.5.1; ratelimit/answers.py is the twin.
cdef int prefers_html(const Head* h, const char* p) noexcept nogil
