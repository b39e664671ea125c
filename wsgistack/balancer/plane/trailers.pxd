from wsgistack.balancer.plane.message cimport Head

# A trailer section (fields and an empty line) with the answers of parse_request_head; it may be parsed anew
# with h.scan = 0 each time. Forbidden fields get drop = 1.
cdef int parse_trailers(const char* p, size_t n, Head* h) noexcept nogil
