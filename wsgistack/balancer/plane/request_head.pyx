"""The head of a request: its line, its fields, and what they say together.  RFC 9112 2-3.

The target is judged and never rewritten: a path or query goes on byte by byte.
"""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcmp

from wsgistack.balancer.plane.authority cimport is_authority
from wsgistack.balancer.plane.faults cimport (
    FAULT_BARE_CR,
    FAULT_BARE_LF,
    FAULT_EXPECTATION_UNKNOWN,
    FAULT_HEAD_TOO_LARGE,
    FAULT_HOST_INVALID,
    FAULT_HOST_MISSING,
    FAULT_METHOD_INVALID,
    FAULT_METHOD_REFUSED,
    FAULT_METHOD_TOO_LONG,
    FAULT_TARGET_FORM,
    FAULT_TARGET_INVALID,
    FAULT_TARGET_USERINFO,
    FAULT_URI_TOO_LONG,
    FAULT_VERSION_INVALID,
    FAULT_VERSION_MISSING,
    FAULT_VERSION_UNSUPPORTED,
)
from wsgistack.balancer.plane.fields cimport LINE_JUDGED, find_field, is_worth_a_parse, parse_fields
from wsgistack.balancer.plane.framing cimport read_framing
from wsgistack.balancer.plane.hops cimport (
    OPTION_CLOSE,
    OPTION_KEEP_ALIVE,
    OPTION_UPGRADE,
    offers_websocket,
    read_connection,
)
from wsgistack.balancer.plane.message cimport (
    F_CONNECTION,
    F_CONTENT_LENGTH,
    F_EXPECT,
    F_HOST,
    F_KEEP_ALIVE,
    F_PROXY,
    F_PROXY_CONNECTION,
    F_TE,
    F_TRANSFER_ENCODING,
    F_UNDERSCORE,
    F_UPGRADE,
    M_CONNECT,
    M_DELETE,
    M_GET,
    M_HEAD,
    M_OPTIONS,
    M_OTHER,
    M_PATCH,
    M_POST,
    M_PUT,
    M_TRACE,
    Field,
    Head,
)
from wsgistack.balancer.plane.octets cimport CR, LF, SPACE, TOKEN, is_digit, same_word, skip_target

cdef enum:
    MAX_METHOD = 64
    MAX_HEAD = 1 << 30
    DROPPED = (1 << F_CONNECTION | 1 << F_KEEP_ALIVE | 1 << F_PROXY_CONNECTION | 1 << F_TE | 1 << F_UPGRADE
               | 1 << F_TRANSFER_ENCODING | 1 << F_PROXY | 1 << F_UNDERSCORE)
    SINGLE = 1 << F_HOST | 1 << F_CONTENT_LENGTH


cdef inline uint8_t method_id(const uint8_t* m, uint32_t n) noexcept nogil:
    if n == 3:
        if memcmp(m, b"GET", 3) == 0:
            return M_GET
        return M_PUT if memcmp(m, b"PUT", 3) == 0 else M_OTHER
    if n == 4:
        if memcmp(m, b"POST", 4) == 0:
            return M_POST
        return M_HEAD if memcmp(m, b"HEAD", 4) == 0 else M_OTHER
    if n == 5:
        if memcmp(m, b"PATCH", 5) == 0:
            return M_PATCH
        return M_TRACE if memcmp(m, b"TRACE", 5) == 0 else M_OTHER
    if n == 6:
        return M_DELETE if memcmp(m, b"DELETE", 6) == 0 else M_OTHER
    if n == 7:
        if memcmp(m, b"OPTIONS", 7) == 0:
            return M_OPTIONS
        return M_CONNECT if memcmp(m, b"CONNECT", 7) == 0 else M_OTHER
    return M_OTHER


cdef int method_in_capitals(const Head* h, const char* p) noexcept nogil:
    # The id that a method has for who knows no small letters.
    cdef uint8_t capitals[7]
    cdef uint32_t i
    cdef uint8_t c
    if h.method_id != M_OTHER or h.method_len > 7:
        return h.method_id
    for i in range(h.method_len):
        c = <uint8_t>p[h.method + i]
        capitals[i] = c & 0xdf if b"a" <= c <= b"z" else c
    return method_id(capitals, h.method_len)


cdef int absolute_target(const uint8_t* p, Head* h, uint32_t skip) noexcept nogil:
    # RFC 9112 3.2.2: the authority takes Host's place, the rest goes on in origin-form.
    cdef uint32_t i = h.target + skip, end = h.target + h.target_len, start = i
    while i < end and p[i] != c"/" and p[i] != c"?":
        if p[i] == c"@":
            return FAULT_TARGET_USERINFO
        i += 1
    if not is_authority(p + start, i - start):
        return FAULT_HOST_INVALID
    h.host = start
    h.host_len = i - start
    h.target = i
    h.target_len = end - i
    if i == end and h.method_id == M_OPTIONS:
        h.target_is_root = c"*"          # RFC 9112 3.2.4
    elif i == end or p[i] == c"?":
        h.target_is_root = c"/"
    return 0


cdef int target_form(const uint8_t* p, Head* h) noexcept nogil:
    cdef const uint8_t* t = p + h.target
    if h.method_id == M_CONNECT:
        return FAULT_METHOD_REFUSED
    if t[0] == c"/":
        return 0
    if h.target_len == 1 and t[0] == c"*":
        return 0 if h.method_id == M_OPTIONS else FAULT_TARGET_FORM
    if h.target_len > 7 and same_word(t, b"http://", 7):
        return absolute_target(p, h, 7)
    if h.target_len > 8 and same_word(t, b"https://", 8):
        return absolute_target(p, h, 8)
    return FAULT_TARGET_FORM


# HTTP-version and CRLF at p[i:n]: return the offset after them, 0 or -fault.
cdef int version(const uint8_t* p, uint32_t i, uint32_t n, Head* h) noexcept nogil:
    cdef uint32_t size = n - i if n - i < 10 else 10
    if size == 10 and memcmp(p + i, b"HTTP/1.", 7) == 0 and is_digit(p[i + 7]) and p[i + 8] == CR and p[i + 9] == LF:
        h.minor = p[i + 7] - 48
        return <int>i + 10
    if memcmp(p + i, b"HTTP/", size if size < 5 else 5) != 0:
        return -FAULT_VERSION_INVALID
    if size > 5 and not is_digit(p[i + 5]):
        return -FAULT_VERSION_INVALID
    if size > 6 and p[i + 6] != c".":
        return -FAULT_VERSION_INVALID
    if size > 7 and not is_digit(p[i + 7]):
        return -FAULT_VERSION_INVALID
    if size > 8 and p[i + 8] != CR:
        return -FAULT_BARE_LF if p[i + 8] == LF else -FAULT_VERSION_INVALID
    if size < 10:
        return 0
    if p[i + 9] != LF:
        return -FAULT_BARE_CR
    return -FAULT_VERSION_UNSUPPORTED


# Method and target with the blank after each: return the offset of the version, 0 or -fault.
cdef int method_and_target(const uint8_t* p, uint32_t i, uint32_t n, Head* h) noexcept nogil:
    cdef uint32_t start = i, most
    cdef uint32_t end = n if n - i <= MAX_METHOD else i + MAX_METHOD + 1
    while i < end and TOKEN[p[i]]:
        i += 1
    if i - start > MAX_METHOD:
        return -FAULT_METHOD_TOO_LONG
    if i == n:
        return 0
    if p[i] != SPACE or i == start:
        return -FAULT_BARE_LF if p[i] == LF else -FAULT_METHOD_INVALID
    h.method = start
    h.method_len = i - start
    h.method_id = method_id(p + start, h.method_len)

    start = i + 1
    most = h.max_target if h.max_target < MAX_HEAD else MAX_HEAD
    end = n if n - start <= most else start + most + 1
    i = skip_target(p, start, end)
    if i - start > most:
        return -FAULT_URI_TOO_LONG
    if i == n:
        return 0
    if p[i] != SPACE or i == start:
        if p[i] == LF:
            return -FAULT_BARE_LF
        return -FAULT_VERSION_MISSING if p[i] == CR and i > start else -FAULT_TARGET_INVALID
    h.target = start
    h.target_len = i - start
    return <int>i + 1


cdef int request_line(const uint8_t* p, uint32_t n, Head* h) noexcept nogil:
    cdef uint32_t i = 0
    cdef int r
    if n and p[0] == CR:             # one empty line may come first, RFC 9112 2.2
        if n < 2:
            return 0
        if p[1] != LF:
            return -FAULT_BARE_CR
        i = 2
    r = method_and_target(p, i, n, h)
    if r <= 0:
        return r
    r = version(p, r, n, h)
    if r <= 0:
        return r
    cdef int fault = target_form(p, h)
    return -fault if fault else r


cdef int expectation(const uint8_t* p, Head* h) noexcept nogil:
    cdef const Field* f
    cdef uint32_t i
    for i in range(h.n_fields):
        f = &h.fields[i]
        if f.id == F_EXPECT:
            if f.value_len != 12 or not same_word(p + f.value, b"100-continue", 12):
                return FAULT_EXPECTATION_UNKNOWN
            h.expect_continue = h.minor >= 1         # RFC 9110 10.1.1: ignored from 1.0
    return 0


cdef int host(const uint8_t* p, Head* h) noexcept nogil:
    cdef const Field* f
    if not h.seen & (1 << F_HOST):
        return FAULT_HOST_MISSING if h.minor >= 1 else 0
    f = find_field(h, F_HOST)
    if not is_authority(p + f.value, f.value_len):
        return FAULT_HOST_INVALID
    if h.host_len == 0:
        h.host = f.value
        h.host_len = f.value_len
    return 0


cdef int meaning(const uint8_t* p, Head* h) noexcept nogil:
    cdef int options, fault = host(p, h)
    if fault == 0 and h.seen & (1 << F_CONTENT_LENGTH | 1 << F_TRANSFER_ENCODING):
        fault = read_framing(p, h, False)
    if fault == 0 and h.seen & (1 << F_EXPECT):
        fault = expectation(p, h)
    h.keep_alive = h.minor >= 1
    if h.seen & (1 << F_CONNECTION):
        options = read_connection(p, h)
        if options & OPTION_CLOSE:
            h.keep_alive = 0
        elif options & OPTION_KEEP_ALIVE:
            h.keep_alive = 1
        if options & OPTION_UPGRADE and h.seen & (1 << F_UPGRADE) and h.minor >= 1 and h.method_id == M_GET:
            h.upgrade_websocket = offers_websocket(p, h)
    return fault


cdef int parse_request_head(const char* p, size_t n, Head* h) noexcept nogil:
    cdef const uint8_t* q = <const uint8_t*>p
    cdef uint32_t most = h.max_bytes if h.max_bytes < MAX_HEAD else MAX_HEAD
    cdef uint32_t end = <uint32_t>n if n < most else most
    cdef int r, fault
    if not is_worth_a_parse(q, n, h):
        return 0
    h.host_len = 0
    h.target_is_root = 0
    h.chunked = 0
    h.expect_continue = 0
    h.upgrade_websocket = 0
    h.content_length = -1
    r = request_line(q, end, h)
    if r == 0 and n >= most:
        return -FAULT_URI_TOO_LONG
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
