from wsgistack.balancer.plane.message cimport Head

# Return 0 (more bytes are needed), the head's size, or -fault. h.scan must be 0 on the
# first call for a message and be kept between calls as the buffer grows.
cdef int parse_request_head(const char* p, size_t n, Head* h) noexcept nogil
cdef int method_in_capitals(const Head* h, const char* p) noexcept nogil
