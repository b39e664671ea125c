"""Cookie and Set-Cookie, as far as sticky sessions read them.  RFC 6265 4.1.1, 4.2.1.

Names are compared with their case.  A value keeps its quotes, if it has any: whoever set it
gets it back like that.
"""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memchr, memcmp, memcpy, memmove

from wsgistack.balancer.plane.message cimport F_SET_COOKIE, Field, Head
from wsgistack.balancer.plane.octets cimport Span, is_blank


cdef bint next_piece(const uint8_t* p, uint32_t* i, uint32_t n, Span* out) noexcept nogil:
    cdef const uint8_t* stop
    if i[0] >= n:
        return False
    out.start = i[0]
    stop = <const uint8_t*>memchr(p + i[0], 59, n - i[0])        # ;
    out.end = <uint32_t>(stop - p) if stop != NULL else n
    i[0] = out.end + 1
    while out.start < out.end and is_blank(p[out.start]):
        out.start += 1
    while out.end > out.start and is_blank(p[out.end - 1]):
        out.end -= 1
    return True


# Is the piece NAME=VALUE of that name? *out becomes VALUE.
cdef bint is_named(const uint8_t* p, const Span* piece, const char* name, uint32_t name_len, Span* out) noexcept nogil:
    if piece.end - piece.start <= name_len or p[piece.start + name_len] != 61:      # =
        return False
    if memcmp(p + piece.start, name, name_len) != 0:
        return False
    out.start = piece.start + name_len + 1
    out.end = piece.end
    return True


cdef bint find_cookie(const uint8_t* p, uint32_t n, const char* name, uint32_t name_len, Span* out) noexcept nogil:
    cdef uint32_t i = 0
    cdef Span piece
    while next_piece(p, &i, n, &piece):
        if is_named(p, &piece, name, name_len, out):
            return True
    return False


cdef bint find_set_cookie(const uint8_t* p, uint32_t n, const char* name, uint32_t name_len, Span* out) noexcept nogil:
    cdef uint32_t i = 0
    cdef Span piece
    return next_piece(p, &i, n, &piece) and is_named(p, &piece, name, name_len, out)


cdef const char* find_cookie_set(const Head* h, const char* p, const char* name, uint32_t name_len, uint32_t* size) noexcept nogil:
    cdef const Field* f
    cdef const char* found = NULL
    cdef Span value
    cdef uint32_t i
    size[0] = 0
    for i in range(h.n_fields):
        f = &h.fields[i]
        if f.id == F_SET_COOKIE and find_set_cookie(<const uint8_t*>p + f.value, f.value_len, name, name_len, &value):
            found = p + f.value + value.start        # the last one holds, RFC 6265 5.3
            size[0] = value.end - value.start
    return found


cdef void drop_cookie_set(Head* h, const char* p, const char* name, uint32_t name_len) noexcept nogil:
    cdef Field* f
    cdef Span value
    cdef uint32_t i, kept = 0
    for i in range(h.n_fields):
        f = &h.fields[i]
        if f.id == F_SET_COOKIE and not f.drop:
            f.drop = find_set_cookie(<const uint8_t*>p + f.value, f.value_len, name, name_len, &value)
            kept += not f.drop
            h.has_drops |= f.drop
    if kept == 0:
        h.seen &= ~(<uint32_t>1 << F_SET_COOKIE)


cdef uint32_t write_cookies_without(const uint8_t* p, uint32_t n, const char* name, uint32_t name_len, char* out) noexcept nogil:
    cdef uint32_t i = 0, size = 0
    cdef Span piece, value
    while next_piece(p, &i, n, &piece):
        if piece.end == piece.start or is_named(p, &piece, name, name_len, &value):
            continue
        if size:
            memcpy(out + size, b"; ", 2)
            size += 2
        memmove(out + size, p + piece.start, piece.end - piece.start)
        size += piece.end - piece.start
    return size


# -- the face for tests --------------------------------------------------------------------

def find(value: bytes, name: bytes) -> bytes | None:
    """Return the value of the cookie *name* in a Cookie field's value, None if it is not there."""
    cdef Span found
    if not find_cookie(value, len(value), name, len(name), &found):
        return None
    return value[found.start:found.end]


def find_set(value: bytes, name: bytes) -> bytes | None:
    """Return what a Set-Cookie field's value sets the cookie *name* to, None if it sets another."""
    cdef Span found
    if not find_set_cookie(value, len(value), name, len(name), &found):
        return None
    return value[found.start:found.end]


def without(value: bytes, name: bytes) -> bytes:
    """Return a Cookie field's value without the cookie *name*."""
    out = bytearray(len(value) + 2 * value.count(b";") + 1)
    size = write_cookies_without(value, len(value), name, len(name), out)
    return bytes(out[:size])
