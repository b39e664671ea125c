"""Who asked, as the Forwarded field tells it (RFC 7239 4): the compiled twin of http/forwarded.py.

Elements are read from the left, for what is broken ends the trust in all that stands behind it, and
kept in a ring, for they are asked about from the right.  One that says something twice names nobody.
"""

from libc.stdint cimport uint8_t, uint32_t

from wsgistack.balancer.plane.octets cimport TOKEN, same_word


cdef inline int is_space(uint8_t b) noexcept nogil:
    # As \s has it of what a field's value may hold.
    return b == 32 or b == 9 or b == 0x85 or b == 0xa0


cdef inline uint32_t skip_space(const char* p, uint32_t i, uint32_t n) noexcept nogil:
    while i < n and is_space(<uint8_t>p[i]):
        i += 1
    return i


cdef inline uint32_t skip_bare(const char* p, uint32_t i, uint32_t n) noexcept nogil:
    while i < n and not is_space(<uint8_t>p[i]) and p[i] != b";" and p[i] != b"," and p[i] != b'"':
        i += 1
    return i


cdef inline uint32_t skip_quoted(const char* p, uint32_t i, uint32_t n) noexcept nogil:
    # Return where the closing quote stands, n if there is none.
    while i < n and p[i] != b'"':
        i += 2 if p[i] == b"\\" else 1
    return i if i < n else n


cdef enum Once:                  # parameters of an element, each at most once
    SAID_FOR = 1
    SAID_BY = 2
    SAID_HOST = 4
    SAID_PROTO = 8
    SAID_TWICE = 16


cdef inline uint32_t once(const char* name, uint32_t n) noexcept nogil:
    # Return which of Once has that name, 0 for another.
    cdef const uint8_t* word = <const uint8_t*>name
    if n == 3 and same_word(word, b"for", 3):
        return SAID_FOR
    if n == 2 and same_word(word, b"by", 2):
        return SAID_BY
    if n == 4 and same_word(word, b"host", 4):
        return SAID_HOST
    return SAID_PROTO if n == 5 and same_word(word, b"proto", 5) else 0


cdef uint32_t read_pair(const char* p, uint32_t i, uint32_t n, Hop* hop, uint32_t* said) noexcept nogil:
    # Return where the pair at i ends, or n + 1 if it is none. `hop` becomes its value if it is a `for`.
    cdef uint32_t name = i, value, which
    cdef uint8_t quoted
    while i < n and TOKEN[<uint8_t>p[i]]:
        i += 1
    if i == name or i + 1 >= n or p[i] != b"=":
        return n + 1
    which = once(p + name, i - name)
    value = i + 1
    quoted = p[value] == b'"'
    value += quoted
    i = skip_quoted(p, value, n) if quoted else skip_bare(p, value, n)
    if i == (n if quoted else value):
        return n + 1
    said[0] |= SAID_TWICE if said[0] & which else which
    if which == SAID_FOR:
        hop.p = p + value
        hop.n = i - value
        hop.quoted = quoted
    return i + quoted


cdef inline void keep(Hops* hops, Hop* hop, uint32_t* said) noexcept nogil:
    if said[0] & SAID_TWICE:
        hop.n = 0
    said[0] = 0
    hops.ring[hops.n % MOST_HOPS] = hop[0]
    hops.n += 1
    hop.n = 0


cdef void find_hops(const char* p, uint32_t n, Hops* hops) noexcept nogil:
    cdef Hop hop
    cdef uint32_t i = 0, said = 0
    hops.n = 0
    hop.p = p
    hop.n = 0
    hop.quoted = 0
    while True:
        i = skip_space(p, i, n)
        if i < n and p[i] != b";" and p[i] != b",":
            i = read_pair(p, i, n, &hop, &said)
            i = skip_space(p, i, n) if i <= n else i
            if i > n or (i < n and p[i] != b";" and p[i] != b","):
                hop.n = 0        # it names nobody, nor does what follows
                keep(hops, &hop, &said)
                return
        if i == n or p[i] == b",":
            keep(hops, &hop, &said)
        if i == n:
            return
        i += 1


cdef int hop_text(const Hops* hops, uint32_t back, char* out) noexcept nogil:
    cdef const Hop* hop = &hops.ring[(hops.n - 1 - back) % MOST_HOPS]
    cdef uint32_t i = 0
    cdef int n = 0
    while i < hop.n:
        if n == LONGEST_HOP:
            return -1
        if hop.quoted and hop.p[i] == b"\\":
            i += 1
        out[n] = hop.p[i]
        n += 1
        i += 1
    return n


# -- the face for tests --------------------------------------------------------------------

def hops_of_text(text: bytes) -> list:
    """Return what the last hops say, left to right; None for one that is too long."""
    cdef Hops hops
    cdef char out[LONGEST_HOP]
    cdef int n
    cdef uint32_t back
    find_hops(text, len(text), &hops)
    found = []
    for back in range(hops.n if hops.n < MOST_HOPS else MOST_HOPS):
        n = hop_text(&hops, back, out)
        found.append(None if n < 0 else out[:n])
    return found[::-1]
