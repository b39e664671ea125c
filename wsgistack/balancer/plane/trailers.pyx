"""Trailer sections.  RFC 9110 6.5.1: what routes, frames, modifies or authenticates is no trailer.

Trailers go on as trailers and are never merged into the head (CVE-2023-41419).
"""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport strlen

from wsgistack.balancer.plane.faults cimport FAULT_TOO_MANY_FIELDS, FAULT_TRAILERS
from wsgistack.balancer.plane.fields cimport parse_fields
from wsgistack.balancer.plane.message cimport F_OTHER, Field, Head
from wsgistack.balancer.plane.octets cimport lower, same_word

cdef enum:
    MAX_HEAD = 1 << 30
    KNOWN = ~(1 << F_OTHER)      # every field that the plane knows by name

# Names besides the kinds of FieldId, each of which is forbidden.
cdef const char* FORBIDDEN[28]
FORBIDDEN[:] = [
    b"age", b"authorization", b"cache-control", b"content-encoding", b"content-range", b"content-type",
    b"date", b"expires", b"if-match", b"if-modified-since", b"if-none-match", b"if-range", b"if-unmodified-since",
    b"location", b"max-forwards", b"pragma", b"proxy-authenticate", b"proxy-authorization", b"range",
    b"retry-after", b"sec-websocket-accept", b"sec-websocket-extensions", b"sec-websocket-key",
    b"sec-websocket-protocol", b"sec-websocket-version", b"vary", b"warning", b"www-authenticate",
]


cdef bint is_forbidden(const uint8_t* name, uint32_t n) noexcept nogil:
    cdef uint8_t first = lower(name[0])
    cdef const char* word
    for word in FORBIDDEN:
        if <uint8_t>word[0] == first and strlen(word) == n and same_word(name, word, n):
            return True
    return False


cdef int parse_trailers(const char* p, size_t n, Head* h) noexcept nogil:
    cdef const uint8_t* q = <const uint8_t*>p
    cdef uint32_t most = h.max_bytes if h.max_bytes < MAX_HEAD else MAX_HEAD
    cdef uint32_t end = <uint32_t>n if n < most else most
    cdef uint32_t i
    cdef Field* f
    cdef int r
    r = parse_fields(q, 0, end, h, <uint32_t>KNOWN, 0)
    if r == -FAULT_TOO_MANY_FIELDS or (r == 0 and n >= most):
        return -FAULT_TRAILERS
    if r <= 0:
        return r
    for i in range(h.n_fields):
        f = &h.fields[i]
        if f.id == F_OTHER and is_forbidden(q + f.name, f.name_len):
            f.drop = 1
            h.has_drops = 1
    h.size = r
    return r
