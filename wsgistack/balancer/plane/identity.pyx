"""Names of fields by which a proxy tells the next hop who is asking, and which way they came.

Which they are stands in http/identity.py; here they are found quickly.
"""

from libc.stdint cimport uint8_t, uint32_t

from wsgistack.balancer.plane.octets cimport same_word

from wsgistack.http.identity import NAMES

cdef enum:
    LONGEST = 31
    ROOM = 40

# The names by length: those of n bytes are words[start[n]:start[n + 1]].
cdef const char* words[ROOM]
cdef uint8_t start[LONGEST + 2]
_by_length = sorted([name.encode() for name in NAMES], key=len)


cdef int index_names() except -1:
    cdef int n
    if len(_by_length) > ROOM or max(map(len, NAMES)) > LONGEST:
        raise AssertionError("identity: ROOM or LONGEST is too small")
    for n in range(len(_by_length)):
        words[n] = _by_length[n]
    for n in range(LONGEST + 2):
        start[n] = sum([len(name) < n for name in _by_length])
    return 0


index_names()


cdef bint is_identity(const uint8_t* name, uint32_t n) noexcept nogil:
    cdef uint32_t i
    if name[0] | 32 == c"x" and ((n >= 11 and same_word(name, b"x-forwarded", 11))
                                 or (n >= 6 and same_word(name, b"x-ssl-", 6))):
        return True
    if n > LONGEST:
        return False
    for i in range(start[n], start[n + 1]):
        if same_word(name, words[i], n):
            return True
    return False
