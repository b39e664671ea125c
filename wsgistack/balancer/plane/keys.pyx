"""What a request hashes by; the twin of balancer/hash_key.py, which says more."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from wsgistack.balancer.plane.cookies cimport find_cookie
from wsgistack.balancer.plane.core cimport Client, Pool
from wsgistack.balancer.plane.exchange cimport Exchange
from wsgistack.balancer.plane.message cimport F_COOKIE, Field, Head
from wsgistack.balancer.plane.octets cimport Span, same_word


cdef uint32_t hash_text(const char* p, uint32_t n) noexcept nogil:
    cdef uint64_t value = 0xCBF29CE484222325
    cdef uint32_t i
    for i in range(n):
        value = (value ^ <uint8_t>p[i]) * <uint64_t>0x100000001B3
    value ^= value >> 33
    value *= <uint64_t>0xFF51AFD7ED558CCD
    value ^= value >> 33
    return <uint32_t>(value >> 32)


cdef inline int is_named(const Field* f, const char* p, const char* name, uint32_t n) noexcept nogil:
    return f.name_len == n and same_word(<const uint8_t*>p + f.name, name, n)


cdef const char* find_field(const Head* h, const char* p, const char* name, uint32_t name_len, uint32_t* size) noexcept nogil:
    cdef int i
    for i in range(h.n_fields):
        if is_named(&h.fields[i], p, name, name_len):
            size[0] = h.fields[i].value_len
            return p + h.fields[i].value
    return NULL


cdef const char* find_cookie_sent(const Head* h, const char* p, const char* name, uint32_t name_len, uint32_t* size) noexcept nogil:
    # One Cookie field is what RFC 6265 5.4 allows; HTTP/2's are joined by whoever translated them.
    cdef Span value
    cdef int i
    for i in range(h.n_fields):
        if h.fields[i].id == F_COOKIE and find_cookie(
                <const uint8_t*>p + h.fields[i].value, h.fields[i].value_len, name, name_len, &value):
            size[0] = value.end - value.start
            return p + h.fields[i].value + value.start
    return NULL


cdef void set_key(Client* c, const Pool* pool, const Head* h, const char* p) noexcept nogil:
    cdef Exchange* ex = c.ex
    cdef const char* text
    cdef uint32_t size = 0
    if pool.key_kind == KEY_IP:
        text, size = c.peer, c.peer_len
    elif pool.key_kind == KEY_URI:
        text, size = p + h.target, h.target_len
    elif pool.key_kind == KEY_HEADER:
        text = find_field(h, p, pool.key_name, pool.key_name_len, &size)
    else:
        text = find_cookie_sent(h, p, pool.key_name, pool.key_name_len, &size)
    ex.has_key = size > 0
    if size:
        ex.key = hash_text(text, size)


# -- the face for tests --------------------------------------------------------------------

def hash_bytes(text: bytes) -> int:
    """Return the hash of *text*."""
    return hash_text(text, len(text))
