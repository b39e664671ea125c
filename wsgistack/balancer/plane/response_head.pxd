from wsgistack.balancer.plane.message cimport Head

# The same answers as parse_request_head. Whatever is wrong is the node's fault: the caller answers 502.
cdef int parse_response_head(const char* p, size_t n, Head* h) noexcept nogil
