"""Connection and Upgrade: what is said to the next hop only.  RFC 9110 7.6.1, 7.8.

Fields are found by a seeded hash, so that a long Connection and many fields together cost
no more than their sum (CVE-2019-15226).
"""

import os

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from wsgistack.balancer.plane.message cimport (
    F_CONNECTION,
    F_COOKIE,
    F_EXPECT,
    F_IDEMPOTENCY_KEY,
    F_OTHER,
    F_PROXY,
    F_REFERER,
    F_SET_COOKIE,
    F_TRACEPARENT,
    F_TRAILER,
    F_UNDERSCORE,
    F_UPGRADE,
    F_USER_AGENT,
    F_X_REQUEST_ID,
    MAX_FIELDS,
    Field,
    Head,
)
from wsgistack.balancer.plane.octets cimport Span, lower, next_element, same_word

cdef enum:
    SLOTS = 2048                 # a power of two, twice MAX_FIELDS
    # Framing, Host, Via and the forwarded fields survive being named: a client may not take them
    # off a request (the "hop-by-hop headers abuse" of Davison, 2019).
    NAMEABLE = (1 << F_OTHER | 1 << F_TRAILER | 1 << F_UNDERSCORE | 1 << F_PROXY | 1 << F_EXPECT | 1 << F_COOKIE
                | 1 << F_SET_COOKIE | 1 << F_IDEMPOTENCY_KEY | 1 << F_REFERER | 1 << F_USER_AGENT
                | 1 << F_TRACEPARENT | 1 << F_X_REQUEST_ID)

cdef uint64_t seed = int.from_bytes(os.urandom(8), "big")


# Fields by name: slot -> 1 + index of the last field of that name, then 1 + index of the one before, and so on.
cdef struct Index:
    uint16_t slot[SLOTS]
    uint16_t before[MAX_FIELDS]


cdef uint32_t slot_of(const uint8_t* name, uint32_t n) noexcept nogil:
    cdef uint64_t x = seed
    cdef uint32_t i
    for i in range(n):
        x = (x ^ lower(name[i])) * <uint64_t>0x9E3779B97F4A7C15
        x ^= x >> 29
    return <uint32_t>(x >> 40) & (SLOTS - 1)


cdef bint same_name(const uint8_t* p, const Field* f, const uint8_t* name, uint32_t n) noexcept nogil:
    cdef uint32_t i
    if f.name_len != n:
        return False
    for i in range(n):
        if lower(p[f.name + i]) != lower(name[i]):
            return False
    return True


# Return the slot that holds this name, or the empty one where it would be.
cdef uint32_t find_slot(const Index* x, const uint8_t* p, const Head* h, const uint8_t* name, uint32_t n) noexcept nogil:
    cdef uint32_t s = slot_of(name, n)
    while x.slot[s] and not same_name(p, &h.fields[x.slot[s] - 1], name, n):
        s = (s + 1) & (SLOTS - 1)
    return s


cdef void make_index(Index* x, const uint8_t* p, const Head* h) noexcept nogil:
    cdef uint32_t i, s
    cdef const Field* f
    memset(x.slot, 0, sizeof(x.slot))
    for i in range(h.n_fields):
        f = &h.fields[i]
        if (<uint32_t>1 << f.id) & NAMEABLE and not f.drop:
            s = find_slot(x, p, h, p + f.name, f.name_len)
            x.before[i] = x.slot[s]
            x.slot[s] = <uint16_t>(i + 1)


cdef void drop_named(const Index* x, const uint8_t* p, Head* h, const uint8_t* name, uint32_t n) noexcept nogil:
    cdef uint32_t at = x.slot[find_slot(x, p, h, name, n)]
    # A name that is repeated in Connection meets its fields dropped and does not walk them again.
    while at and not h.fields[at - 1].drop:
        h.fields[at - 1].drop = 1
        h.has_drops = 1
        at = x.before[at - 1]


cdef int option(const uint8_t* p, uint32_t n) noexcept nogil:
    if n == 5 and same_word(p, b"close", 5):
        return OPTION_CLOSE
    if n == 10 and same_word(p, b"keep-alive", 10):
        return OPTION_KEEP_ALIVE
    if n == 7 and same_word(p, b"upgrade", 7):
        return OPTION_UPGRADE
    return 0


cdef int read_connection(const uint8_t* p, Head* h) noexcept nogil:
    cdef Index x
    cdef Span e
    cdef bint indexed = False
    cdef int found = 0, one
    cdef uint32_t i, j
    cdef const Field* f
    for i in range(h.n_fields):
        f = &h.fields[i]
        if f.id != F_CONNECTION:
            continue
        one = option(p + f.value, f.value_len)
        if one:
            found |= one         # one word, as in nearly every message
            continue
        j = f.value
        while next_element(p, &j, f.value + f.value_len, &e):
            one = option(p + e.start, e.end - e.start)
            found |= one
            if one == 0 and e.end > e.start:
                if not indexed:
                    make_index(&x, p, h)
                    indexed = True
                drop_named(&x, p, h, p + e.start, e.end - e.start)
    return found


cdef bint offers_websocket(const uint8_t* p, const Head* h) noexcept nogil:
    cdef Span e
    cdef uint32_t i, j
    cdef const Field* f
    for i in range(h.n_fields):
        f = &h.fields[i]
        if f.id != F_UPGRADE:
            continue
        j = f.value
        while next_element(p, &j, f.value + f.value_len, &e):
            if e.end - e.start == 9 and same_word(p + e.start, b"websocket", 9):
                return True
    return False
