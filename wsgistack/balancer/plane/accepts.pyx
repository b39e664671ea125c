"""What a client would rather read, by its Accept fields: the twin of ratelimit/answers.prefers_html."""

from libc.stdint cimport uint8_t, uint32_t

from wsgistack.balancer.plane.octets cimport same_word
from wsgistack.balancer.plane.wire cimport Field, Head

cdef enum:
    UNNAMED = -1                 # weights are in thousandths
    NO_TYPE = 0
    JSON
    HTML


cdef inline int is_blank(char c) noexcept nogil:
    return c == 32 or c == 9


cdef uint32_t trim(const char** p, uint32_t n) noexcept nogil:
    while n and is_blank(p[0][0]):
        p[0] += 1
        n -= 1
    while n and is_blank(p[0][n - 1]):
        n -= 1
    return n


cdef uint32_t cut(const char* p, uint32_t n, char at) noexcept nogil:
    # The bytes before the first `at`, or all.
    cdef uint32_t i
    for i in range(n):
        if p[i] == at:
            return i
    return n


cdef inline int is_word(const char* p, uint32_t n, const char* word, uint32_t size) noexcept nogil:
    return n == size and same_word(<const uint8_t*>p, word, size)


cdef int type_of(const char* p, uint32_t n) noexcept nogil:
    if is_word(p, n, b"text/html", 9):
        return HTML
    if is_word(p, n, b"application/json", 16) or (n >= 5 and is_word(p + n - 5, 5, b"+json", 5)):
        return JSON
    return NO_TYPE


cdef int weight_of(const char* p, uint32_t n) noexcept nogil:
    # A decimal number from 0 to 1 in thousandths; what is none counts as 0.
    cdef uint32_t i, digits = 0
    cdef int whole = 0, part = 0, scale = 1000, dots = 0
    for i in range(n):
        if p[i] == b"." and not dots:
            dots = 1
        elif not b"0" <= p[i] <= b"9":
            return 0
        elif dots:
            digits += 1
            scale //= 10
            part += scale * (p[i] - 48)
        else:
            digits += 1
            whole = 1 if whole or p[i] != b"0" else 0
    if digits == 0:
        return 0
    return 1000 if whole else part


cdef int weight(const char* p, uint32_t n) noexcept nogil:
    # Of the parameters that stand behind a media range, each after its ";".
    cdef uint32_t size, equals
    cdef const char* name
    cdef const char* value
    while n:
        p += 1
        n -= 1
        size = cut(p, n, b";")
        equals = cut(p, size, b"=")
        name = p
        if is_word(name, trim(&name, equals), b"q", 1):
            value = p + equals + (equals < size)
            return weight_of(value, trim(&value, size - equals - (equals < size)))
        p += size
        n -= size
    return 1000


cdef void read_line(const char* p, uint32_t n, int* weights) noexcept nogil:
    cdef uint32_t size, name_len
    cdef const char* name
    cdef int kind, w
    while True:
        size = cut(p, n, b",")
        name = p
        name_len = cut(p, size, b";")
        kind = type_of(name, trim(&name, name_len))
        if kind:
            w = weight(p + name_len, size - name_len)
            if w > weights[kind]:
                weights[kind] = w
        if size == n:
            return
        p += size + 1
        n -= size + 1


cdef int prefers_html(const Head* h, const char* p) noexcept nogil:
    cdef int weights[3]
    cdef const Field* f
    cdef int i
    weights[JSON] = weights[HTML] = UNNAMED
    for i in range(h.n_fields):
        f = &h.fields[i]
        if f.name_len == 6 and same_word(<const uint8_t*>p + f.name, b"accept", 6):
            read_line(p + f.value, f.value_len, weights)
    return weights[HTML] > (weights[JSON] if weights[JSON] > 0 else 0)


# -- the face for tests --------------------------------------------------------------------

def accepts_html(accept: bytes) -> bool:
    """Tell whether whoever sends this Accept field would rather have HTML."""
    cdef int weights[3]
    weights[JSON] = weights[HTML] = UNNAMED
    read_line(accept, len(accept), weights)
    return weights[HTML] > max(weights[JSON], 0)
