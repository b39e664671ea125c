"""Which request is which: X-Request-Id, made here or kept.

Ours has 128 bits of the plane's generator in hexadecimal, as a trace-id has: enough to be
unique, and no secret.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from wsgistack.balancer.plane.core cimport Core, core_random
from wsgistack.balancer.plane.fields cimport find_field
from wsgistack.balancer.plane.octets cimport is_digit, lower
from wsgistack.balancer.plane.wire cimport F_X_REQUEST_ID, Field, Head, RequestRewrite

cdef const char* HEX = b"0123456789abcdef"


cdef bint is_good(const uint8_t* p, uint32_t n) noexcept nogil:
    # What UUIDs, ULIDs, base64 and the ids of load balancers are made of; nothing that could end a word in a log.
    cdef uint32_t i
    cdef uint8_t c
    if n == 0 or n > LONGEST_ID:
        return False
    for i in range(n):
        c = p[i]
        if not (is_digit(c) or c"a" <= lower(c) <= c"z" or c in b"-._~+/=:@"):
            return False
    return True


cdef void identify(Core* core, int mode, const Head* h, const char* p, RequestRewrite* r, char* room) noexcept nogil:
    cdef const Field* f
    cdef uint64_t bits = 0
    cdef int i
    if mode == ID_TRUST and h.seen & (1 << F_X_REQUEST_ID):
        f = find_field(h, F_X_REQUEST_ID)
        if is_good(<const uint8_t*>p + f.value, f.value_len):
            r.request_id = p + f.value
            r.request_id_len = f.value_len
            return
    for i in range(ID_BYTES):
        if i % 8 == 0:
            bits = core_random(core)
        room[i] = HEX[bits & 15]
        bits >>= 4
    r.request_id = room
    r.request_id_len = ID_BYTES
