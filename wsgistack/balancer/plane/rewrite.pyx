"""A parsed head written anew for the other side.

First lines, framing, Connection and the forwarded fields are ours; other fields keep order,
case and value.  Neighbouring fields that stay go out in one copy.  No field grows by being
copied, so `out` needs HEAD_RESERVE only for the lines that are added here.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memchr, memcpy

from wsgistack.balancer.plane.cookies cimport write_cookies_without
from wsgistack.balancer.plane.message cimport (
    BODY_AS_TOLD,
    BODY_CHUNKED,
    BODY_LENGTH,
    F_BUCKET,
    F_CONTENT_LENGTH,
    F_COOKIE,
    F_EXPECT,
    F_FORWARDED,
    F_HOST,
    F_IDENTITY,
    F_TRAILER,
    F_X_FORWARDED_FOR,
    F_X_FORWARDED_HOST,
    F_X_FORWARDED_PORT,
    F_X_FORWARDED_PROTO,
    F_X_REQUEST_ID,
    Field,
    Head,
    RequestRewrite,
    ResponseRewrite,
)
from wsgistack.balancer.plane.octets cimport SPACE, is_token, lower, put, put_number

cdef enum:
    OURS = 1 << F_HOST | 1 << F_CONTENT_LENGTH | 1 << F_EXPECT | 1 << F_BUCKET
    FORWARDED = (1 << F_FORWARDED | 1 << F_X_FORWARDED_FOR | 1 << F_X_FORWARDED_HOST | 1 << F_X_FORWARDED_PROTO
                 | 1 << F_X_FORWARDED_PORT | 1 << F_IDENTITY)


cdef inline char* put_length(char* out, uint64_t length) noexcept nogil:
    out = put(out, b"Content-Length: ", 16)
    out = put_number(out, length)
    return put(out, b"\r\n", 2)


cdef bint is_removed(const char* p, const Field* f, const char* names, uint32_t n) noexcept nogil:
    # names: lower case, each followed by "\n".
    cdef const char* end = names + n
    cdef const char* stop
    cdef uint32_t i
    while names < end:
        stop = <const char*>memchr(names, 10, end - names)
        if stop == NULL:
            return False
        if stop - names == f.name_len:
            i = 0
            while i < f.name_len and lower(<uint8_t>p[f.name + i]) == <uint8_t>names[i]:
                i += 1
            if i == f.name_len:
                return True
        names = stop + 1
    return False


cdef inline bint is_plain(const Field* f, const char* p) noexcept nogil:
    # One blank or none after the colon: the line can be copied as it stands.
    cdef uint32_t gap = f.value - f.name - f.name_len
    return gap == 1 or (gap == 2 and p[f.value - 1] == SPACE)


cdef char* put_field(char* out, const Field* f, const char* p) noexcept nogil:
    out = put(out, p + f.name, f.name_len)
    out = put(out, b": ", 2)
    out = put(out, p + f.value, f.value_len)
    return put(out, b"\r\n", 2)


# Write the fields that have neither drop nor a kind in `left_out` nor, unless of a kind in `ours`, a name in `names`.
cdef char* put_fields(char* out, const Head* h, const char* p, uint32_t left_out, uint32_t ours,
                      const char* names, uint32_t names_len) noexcept nogil:
    cdef const Field* f = &h.fields[0]
    cdef const Field* last = f + h.n_fields
    cdef uint32_t start = 0, end = 0         # what is to be copied next: p[start:end] without its CRLF
    while f < last:
        if f.drop or (<uint32_t>1 << f.id) & left_out or (names_len and not (<uint32_t>1 << f.id) & ours
                                                             and is_removed(p, f, names, names_len)):
            f += 1
            continue
        if f.name != end + 2 or end == 0 or not is_plain(f, p):
            if end:
                out = put(put(out, p + start, end - start), b"\r\n", 2)
            start = f.name
            end = 0
        if is_plain(f, p):
            end = f.value + f.value_len
        else:
            out = put_field(out, f, p)
        f += 1
    if end:
        out = put(put(out, p + start, end - start), b"\r\n", 2)
    return out


# All lines of one kind, joined by ", ", and ", " after them; nothing if there are none.
cdef char* put_lines_joined(char* out, const Head* h, const char* p, int id) noexcept nogil:
    cdef const Field* f
    cdef uint32_t i
    if not h.seen & (<uint32_t>1 << id):
        return out
    for i in range(h.n_fields):
        f = &h.fields[i]
        if f.id == id and f.value_len:
            out = put(out, p + f.value, f.value_len)
            out = put(out, b", ", 2)
    return out


cdef char* put_forwarded(char* out, const Head* h, const char* p, const RequestRewrite* r) noexcept nogil:
    # RFC 7239 4: a value with other than token bytes is quoted; a valid authority holds neither " nor \.
    cdef bint plain
    out = put(out, b"Forwarded: ", 11)
    if r.trusted:
        out = put_lines_joined(out, h, p, F_FORWARDED)
    if r.peer_is_v6:
        out = put(out, b'for="[', 6)
        out = put(out, r.peer, r.peer_len)
        out = put(out, b']"', 2)
    else:
        out = put(out, b"for=", 4)
        out = put(out, r.peer, r.peer_len)
    if h.host_len:
        plain = is_token(<const uint8_t*>p, h.host, h.host + h.host_len)
        out = put(out, b';host=', 6) if plain else put(out, b';host="', 7)
        out = put(out, p + h.host, h.host_len)
        if not plain:
            out = put(out, b'"', 1)
    out = put(out, b";proto=https\r\n", 14) if r.https else put(out, b";proto=http\r\n", 13)
    return out


cdef char* put_identity(char* out, const Head* h, const char* p, const RequestRewrite* r) noexcept nogil:
    cdef uint32_t came = h.seen if r.trusted else 0
    out = put(out, b"X-Forwarded-For: ", 17)
    if r.trusted:
        out = put_lines_joined(out, h, p, F_X_FORWARDED_FOR)
    out = put(out, r.peer, r.peer_len)
    out = put(out, b"\r\n", 2)
    if not came & (1 << F_X_FORWARDED_PROTO):
        out = (put(out, b"X-Forwarded-Proto: https\r\n", 26) if r.https
               else put(out, b"X-Forwarded-Proto: http\r\n", 25))
    if h.host_len and not came & (1 << F_X_FORWARDED_HOST):
        out = put(out, b"X-Forwarded-Host: ", 18)
        out = put(out, p + h.host, h.host_len)
        out = put(out, b"\r\n", 2)
    # A trusted proxy that speaks X-Forwarded-For only: a Forwarded that began here would name it as the client.
    if came & (1 << F_X_FORWARDED_FOR) and not came & (1 << F_FORWARDED):
        return out
    return put_forwarded(out, h, p, r)


cdef uint32_t put_others(const uint8_t* p, uint32_t n, const RequestRewrite* r, char* out) noexcept nogil:
    if not r.split_cookie_len:
        return write_cookies_without(p, n, r.cookie, r.cookie_len, out)
    n = write_cookies_without(p, n, r.split_cookie, r.split_cookie_len, out)
    return write_cookies_without(<const uint8_t*>out, n, r.cookie, r.cookie_len, out) if r.cookie_len else n


cdef char* put_cookies(char* out, const Head* h, const char* p, const RequestRewrite* r) noexcept nogil:
    # A Cookie of which nothing is left is not written.
    cdef const Field* f
    cdef uint32_t i, size
    for i in range(h.n_fields):
        f = &h.fields[i]
        if f.id != F_COOKIE or f.drop or (r.remove_len and is_removed(p, f, r.remove, r.remove_len)):
            continue
        size = put_others(<const uint8_t*>p + f.value, f.value_len, r, out + 8)
        if size:
            memcpy(out, b"Cookie: ", 8)
            out = put(out + 8 + size, b"\r\n", 2)
    return out


cdef size_t write_request_head(const Head* h, const char* p, const RequestRewrite* r, char* out) noexcept nogil:
    cdef char* start = out
    cdef uint32_t left_out = OURS
    out = put(out, p + h.method, h.method_len)
    out = put(out, b" ", 1)
    if h.target_is_root:
        out[0] = <char>h.target_is_root
        out += 1
    out = put(out, p + h.target, h.target_len)
    out = put(out, b" HTTP/1.1\r\nHost: ", 17)
    # From 1.0 it may be missing; a strict 1.1 node refuses an empty one (RFC 9112 3.2, 3.3).
    out = put(out, p + h.host, h.host_len) if h.host_len else put(out, r.authority, r.authority_len)
    out = put(out, b"\r\n", 2)

    if not r.blind:
        left_out |= (1 << F_X_FORWARDED_FOR | 1 << F_FORWARDED) if r.trusted else FORWARDED
    if r.framing != BODY_CHUNKED:
        left_out |= 1 << F_TRAILER
    if r.cookie_len or r.split_cookie_len:
        left_out |= 1 << F_COOKIE
    if r.request_id_len:
        left_out |= 1 << F_X_REQUEST_ID
    out = put_fields(out, h, p, left_out, FORWARDED if r.inner else 0, r.remove, r.remove_len)
    if r.cookie_len or r.split_cookie_len:
        out = put_cookies(out, h, p, r)
    if r.bucket_len:
        out = put(put(put(out, b"Wsgistack-Bucket: ", 18), r.bucket, r.bucket_len), b"\r\n", 2)
    if r.request_id_len:
        out = put(out, b"X-Request-Id: ", 14)
        out = put(put(out, r.request_id, r.request_id_len), b"\r\n", 2)
    if not r.blind:
        out = put_identity(out, h, p, r)

    if not r.inner:
        out = put(out, b"Via: 1.", 7)
        out[0] = <char>(48 + h.minor)
        out = put(out + 1, b" wsgistack\r\n", 12)
    out = put(out, r.insert, r.insert_len)
    if r.framing == BODY_LENGTH:
        out = put_length(out, r.length)
    elif r.framing == BODY_CHUNKED:
        out = put(out, b"Transfer-Encoding: chunked\r\n", 28)
    if r.websocket:
        out = put(out, b"Connection: Upgrade\r\nUpgrade: websocket\r\n", 41)
    elif not r.keep_alive:
        out = put(out, b"Connection: close\r\n", 19)
    out = put(out, b"\r\n", 2)
    return out - start


cdef size_t write_response_head(const Head* h, const char* p, const ResponseRewrite* r, char* out) noexcept nogil:
    cdef char* start = out
    cdef uint32_t left_out = 1 << F_TRAILER
    out = put(out, b"HTTP/1.1 ", 9)
    out[0] = <char>(48 + h.status // 100)
    out[1] = <char>(48 + h.status // 10 % 10)
    out[2] = <char>(48 + h.status % 10)
    out[3] = SPACE
    out = put(out + 4, p + h.reason, h.reason_len)
    out = put(out, b"\r\n", 2)

    if r.framing != BODY_AS_TOLD:
        left_out |= 1 << F_CONTENT_LENGTH
    if r.framing == BODY_CHUNKED:
        left_out &= ~<uint32_t>(1 << F_TRAILER)
    out = put_fields(out, h, p, left_out, 0, NULL, 0)
    if r.insert_len:
        out = put(out, r.insert, r.insert_len)
    if r.told_len:
        out = put(out, r.told, r.told_len)
    if r.framing == BODY_LENGTH:
        out = put_length(out, r.length)
    elif r.framing == BODY_CHUNKED or (r.framing == BODY_AS_TOLD and h.chunked and r.client_minor >= 1):
        out = put(out, b"Transfer-Encoding: chunked\r\n", 28)
    if r.websocket:
        out = put(out, b"Connection: Upgrade\r\nUpgrade: websocket\r\n", 41)
    elif not r.keep_alive:
        out = put(out, b"Connection: close\r\n", 19)
    elif r.client_minor == 0:
        out = put(out, b"Connection: keep-alive\r\n", 24)
    out = put(out, b"\r\n", 2)
    return out - start


cdef size_t write_trailers(const Head* h, const char* p, char* out) noexcept nogil:
    cdef char* start = out
    out = put(put_fields(out, h, p, 0, 0, NULL, 0), b"\r\n", 2)
    return out - start
