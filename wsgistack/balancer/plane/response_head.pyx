"""The head of a response.  RFC 9112 4: as strict as with requests, with one leniency.

The reason phrase may be missing, and with it the blank before it ("HTTP/1.1 200"): many old
applications write so, and nothing depends on it.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcmp

from wsgistack.balancer.plane.faults cimport (
    FAULT_BARE_CR,
    FAULT_BARE_LF,
    FAULT_HEAD_TOO_LARGE,
    FAULT_REASON_INVALID,
    FAULT_STATUS_CODE,
    FAULT_STATUS_LINE,
    FAULT_VERSION_UNSUPPORTED,
)
from wsgistack.balancer.plane.fields cimport LINE_JUDGED, is_worth_a_parse, parse_fields
from wsgistack.balancer.plane.framing cimport read_framing
from wsgistack.balancer.plane.hops cimport OPTION_CLOSE, OPTION_KEEP_ALIVE, offers_websocket, read_connection
from wsgistack.balancer.plane.message cimport (
    F_CONNECTION,
    F_CONTENT_LENGTH,
    F_KEEP_ALIVE,
    F_PROXY_CONNECTION,
    F_TE,
    F_TRANSFER_ENCODING,
    F_UPGRADE,
    Head,
)
from wsgistack.balancer.plane.octets cimport CR, LF, SPACE, is_digit, skip_value

cdef enum:
    MAX_HEAD = 1 << 30
    DROPPED = (1 << F_CONNECTION | 1 << F_KEEP_ALIVE | 1 << F_PROXY_CONNECTION | 1 << F_TE | 1 << F_UPGRADE
               | 1 << F_TRANSFER_ENCODING)
    SINGLE = 1 << F_CONTENT_LENGTH


# "HTTP/1.1 200" at p[0:n]: return 12, 0 or -fault.
cdef int version_and_status(const uint8_t* p, uint32_t n, Head* h) noexcept nogil:
    cdef uint32_t i
    if n >= 12 and memcmp(p, b"HTTP/1.1 200", 12) == 0:
        h.minor = 1
        h.status = 200
        return 12
    if memcmp(p, b"HTTP/", n if n < 5 else 5) != 0:
        return -FAULT_STATUS_LINE
    for i in range(5, n if n < 12 else 12):
        if i == 6:
            if p[i] != c".":
                return -FAULT_STATUS_LINE
        elif i == 8:
            if p[i] != SPACE:
                return -FAULT_STATUS_LINE
        elif not is_digit(p[i]):
            return -FAULT_STATUS_LINE
    if n < 12:
        return 0
    if p[5] != c"1":
        return -FAULT_VERSION_UNSUPPORTED
    h.minor = p[7] - 48
    h.status = <uint16_t>((p[9] - 48) * 100 + (p[10] - 48) * 10 + p[11] - 48)
    return 12 if 100 <= h.status <= 599 else -FAULT_STATUS_CODE


cdef int status_line(const uint8_t* p, uint32_t n, Head* h) noexcept nogil:
    cdef uint32_t i
    cdef int r = version_and_status(p, n, h)
    if r <= 0:
        return r
    if n == 12:
        return 0
    i = 12
    if p[12] == SPACE:
        i = 13
    elif p[12] != CR:
        return -FAULT_BARE_LF if p[12] == LF else -FAULT_STATUS_LINE
    h.reason = i
    i = skip_value(p, i, n)
    h.reason_len = i - h.reason
    if i == n:
        return 0
    if p[i] != CR:
        return -FAULT_BARE_LF if p[i] == LF else -FAULT_REASON_INVALID
    if i + 1 == n:
        return 0
    return <int>i + 2 if p[i + 1] == LF else -FAULT_BARE_CR


cdef int meaning(const uint8_t* p, Head* h) noexcept nogil:
    cdef int options, fault = 0
    if h.seen & (1 << F_CONTENT_LENGTH | 1 << F_TRANSFER_ENCODING):
        fault = read_framing(p, h, True)
    h.keep_alive = h.minor >= 1
    if h.seen & (1 << F_CONNECTION):
        options = read_connection(p, h)
        if options & OPTION_CLOSE:
            h.keep_alive = 0
        elif options & OPTION_KEEP_ALIVE:
            h.keep_alive = 1
    if h.seen & (1 << F_TRANSFER_ENCODING) and not h.chunked:
        h.keep_alive = 0  # whatever it says: a body that it may have would end with the connection
    h.upgrade_websocket = h.seen & (1 << F_UPGRADE) and offers_websocket(p, h)
    return fault


cdef int parse_response_head(const char* p, size_t n, Head* h) noexcept nogil:
    cdef const uint8_t* q = <const uint8_t*>p
    cdef uint32_t most = h.max_bytes if h.max_bytes < MAX_HEAD else MAX_HEAD
    cdef uint32_t end = <uint32_t>n if n < most else most
    cdef int r, fault
    if not is_worth_a_parse(q, n, h):
        return 0
    h.chunked = 0
    h.content_length = -1
    r = status_line(q, end, h)
    h.scan = end
    if r > 0:
        h.scan |= <uint32_t>LINE_JUDGED
        r = parse_fields(q, r, end, h, DROPPED, SINGLE)
    if r == 0 and n >= most:
        return -FAULT_HEAD_TOO_LARGE
    if r <= 0:
        return r
    fault = meaning(q, h)
    if fault:
        return -fault
    h.size = r
    return r
