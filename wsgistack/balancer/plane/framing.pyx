"""Where a body ends.  RFC 9112 6: any doubt is a fault, nothing is guessed (request smuggling)."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from wsgistack.balancer.plane.faults cimport (
    FAULT_CONTENT_LENGTH_INVALID,
    FAULT_LENGTH_AND_ENCODING,
    FAULT_TRANSFER_ENCODING_IN_1_0,
    FAULT_TRANSFER_ENCODING_INVALID,
    FAULT_TRANSFER_ENCODING_UNKNOWN,
)
from wsgistack.balancer.plane.fields cimport find_field
from wsgistack.balancer.plane.message cimport F_CONTENT_LENGTH, F_TRANSFER_ENCODING, Field, Head
from wsgistack.balancer.plane.octets cimport Span, is_digit, is_token, next_element, same_word


cdef int64_t length_of(const uint8_t* p, uint32_t n) noexcept nogil:
    # 1*DIGIT up to 2**63 - 1, or -1.
    cdef uint64_t value = 0
    cdef uint32_t i
    if n == 0:
        return -1
    for i in range(n):
        if not is_digit(p[i]):
            return -1
        if value > <uint64_t>922337203685477580:
            return -1
        value = value * 10 + (p[i] - 48)
        if value > <uint64_t>9223372036854775807:
            return -1
    return <int64_t>value


# The registered codings but chunked: a body under one of them is not the content that a client would take it for.
cdef bint is_compression(const uint8_t* p, uint32_t n) noexcept nogil:
    if n > 2 and p[0] | 32 == c"x" and p[1] == c"-":
        p, n = p + 2, n - 2
    return (n == 4 and same_word(p, b"gzip", 4) or n == 7 and same_word(p, b"deflate", 7)
            or n == 8 and same_word(p, b"compress", 8))


cdef int transfer_codings(const uint8_t* p, Head* h, bint may_end_it) noexcept nogil:
    # 0 for exactly one `chunked`, over all lines. A coding that is not known before it is not implemented; where
    # chunked is not the last the length can not be determined, and RFC 9112 6.3 (4) asks for 400.
    # may_end_it: of a response whose coding has a made-up name (or is RFC 2616's identity) the end of the connection
    # is the end of the body: RFC 9112 6.3 (4) too, and what nginx does. HAProxy and Varnish answer 502 and 503.
    cdef Span e
    cdef uint32_t i, j
    cdef const Field* f
    cdef bint chunked = False, unknown = False, compressed = False
    for i in range(h.n_fields):
        f = &h.fields[i]
        if f.id != F_TRANSFER_ENCODING:
            continue
        j = f.value
        while next_element(p, &j, f.value + f.value_len, &e):
            if chunked or not is_token(p, e.start, e.end):
                return FAULT_TRANSFER_ENCODING_INVALID       # chunked must come last, and once
            if e.end - e.start == 7 and same_word(p + e.start, b"chunked", 7):
                chunked = True
            else:
                unknown = True
                compressed |= is_compression(p + e.start, e.end - e.start)
    h.chunked = chunked
    if not chunked:
        return 0 if may_end_it and unknown and not compressed else FAULT_TRANSFER_ENCODING_INVALID
    return FAULT_TRANSFER_ENCODING_UNKNOWN if unknown else 0


cdef int read_framing(const uint8_t* p, Head* h, bint may_end_it) noexcept nogil:
    cdef const Field* f
    if h.seen & (1 << F_CONTENT_LENGTH):
        f = find_field(h, F_CONTENT_LENGTH)
        h.content_length = length_of(p + f.value, f.value_len)
        if h.content_length < 0:
            return FAULT_CONTENT_LENGTH_INVALID
    if not h.seen & (1 << F_TRANSFER_ENCODING):
        return 0
    if h.content_length >= 0:
        return FAULT_LENGTH_AND_ENCODING
    if h.minor == 0:
        return FAULT_TRANSFER_ENCODING_IN_1_0
    return transfer_codings(p, h, may_end_it)
