from wsgistack.balancer.plane.message cimport HEAD_RESERVE, Head, RequestRewrite, ResponseRewrite


cdef inline size_t request_room(const Head* h, const RequestRewrite* r) noexcept nogil:
    # Cookies that are written anew may grow: "; " comes between any two.
    cdef size_t cookies = h.size if r.cookie_len or r.split_cookie_len else 0
    return h.size + cookies + r.insert_len + <size_t>3 * r.peer_len + r.authority_len + HEAD_RESERVE


# Write a head; `out` has room for as many bytes as request_room says, or for a response for h.size + insert_len + HEAD_RESERVE.
# Return the bytes written.
cdef size_t write_request_head(const Head* h, const char* p, const RequestRewrite* r, char* out) noexcept nogil
cdef size_t write_response_head(const Head* h, const char* p, const ResponseRewrite* r, char* out) noexcept nogil
# Fields of a trailer section that are not dropped, and the empty line (the caller wrote "0\r\n").
# At most h.size bytes.
cdef size_t write_trailers(const Head* h, const char* p, char* out) noexcept nogil
