from wsgistack.balancer.plane.message cimport Head, RequestRewrite, ResponseRewrite

# Write a head; `out` has room for h.size + insert_len + peer_len * 3 + authority_len + HEAD_RESERVE bytes. Return the bytes written.
cdef size_t write_request_head(const Head* h, const char* p, const RequestRewrite* r, char* out) noexcept nogil
cdef size_t write_response_head(const Head* h, const char* p, const ResponseRewrite* r, char* out) noexcept nogil
# Fields of a trailer section that are not dropped, and the empty line (the caller wrote "0\r\n").
# At most h.size bytes.
cdef size_t write_trailers(const Head* h, const char* p, char* out) noexcept nogil
