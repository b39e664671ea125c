# Cookie and Set-Cookie, as far as sticky sessions read them: RFC 6265 4.1.1, 4.2.1.

from libc.stdint cimport uint8_t, uint32_t

from wsgistack.balancer.plane.message cimport Head
from wsgistack.balancer.plane.octets cimport Span

# The next piece of p[i[0]:n] up to ";", without the blanks around it. False: none is left.
cdef bint next_piece(const uint8_t* p, uint32_t* i, uint32_t n, Span* out) noexcept nogil
# Find the first cookie of that name in the value p[0:n] of a Cookie field; *out is its value. False: it is not there.
cdef bint find_cookie(const uint8_t* p, uint32_t n, const char* name, uint32_t name_len, Span* out) noexcept nogil
# Write the value of a Cookie field without the cookies of that name; return the bytes, at most 3 / 2 of n, for "; "
# comes between any two. `out` may be p, where it was written by this before.
cdef uint32_t write_cookies_without(const uint8_t* p, uint32_t n, const char* name, uint32_t name_len, char* out) noexcept nogil
# The same search in the value of a Set-Cookie field, which sets one cookie and then says things about it.
cdef bint find_set_cookie(const uint8_t* p, uint32_t n, const char* name, uint32_t name_len, Span* out) noexcept nogil
# Leave out of a response head what sets that cookie.
cdef void drop_cookie_set(Head* h, const char* p, const char* name, uint32_t name_len) noexcept nogil
# What a response head sets that cookie to, *size bytes of p; NULL and 0: nothing.
cdef const char* find_cookie_set(const Head* h, const char* p, const char* name, uint32_t name_len, uint32_t* size) noexcept nogil
