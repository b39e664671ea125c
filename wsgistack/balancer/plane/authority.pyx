"""Host names and ports as they stand in Host and in absolute targets.  RFC 9110 7.2, RFC 3986 3.2.2.

Stricter than the grammar: no empty host (RFC 9110 4.2.1), no IPvFuture, no zone, ports to 65535.
"""

from libc.stdint cimport uint8_t, uint32_t

from wsgistack.balancer.plane.octets cimport HEX, REGNAME, is_digit

cdef enum:
    # A DNS name has 253 bytes.  rewrite.pyx writes it up to three times into HEAD_RESERVE.
    MAX_AUTHORITY = 272


cdef bint is_port(const uint8_t* p, uint32_t n) noexcept nogil:
    # p is after the colon; an empty port is valid.
    cdef uint32_t i, port = 0
    for i in range(n):
        if not is_digit(p[i]):
            return False
        port = port * 10 + (p[i] - 48)
        if port > 65535:
            return False
    return True


# Return the bytes of an IPv4address at the start of p[0:n], or 0.
cdef uint32_t ipv4(const uint8_t* p, uint32_t n) noexcept nogil:
    cdef uint32_t i = 0, start, part, value
    for part in range(4):
        if part:
            if i >= n or p[i] != c".":
                return 0
            i += 1
        start = i
        value = 0
        while i < n and i - start < 3 and is_digit(p[i]):
            value = value * 10 + (p[i] - 48)
            i += 1
        if i == start or value > 255 or (i - start > 1 and p[start] == c"0"):
            return 0
    return i


cdef bint is_ipv6(const uint8_t* p, uint32_t n) noexcept nogil:
    # p[0:n] is what stands between the brackets.
    cdef uint32_t i = 0, start, groups = 0
    cdef bint gap = False
    if n >= 2 and p[0] == c":" and p[1] == c":":
        gap = True
        i = 2
    elif n == 0 or p[0] == c":":
        return False
    while i < n:
        if groups == 8:
            return False
        if ipv4(p + i, n - i) == n - i:
            groups += 2
            break
        start = i
        while i < n and HEX[p[i]]:
            i += 1
        if i == start or i - start > 4:
            return False
        groups += 1
        if i == n:
            break
        if p[i] != c":":
            return False
        i += 1
        if i == n:
            return False         # a single colon at the end
        if p[i] == c":":
            if gap:
                return False
            gap = True
            i += 1
    return groups <= 7 if gap else groups == 8


# Return the bytes of a reg-name at the start of p[0:n].
cdef inline uint32_t regname(const uint8_t* p, uint32_t n) noexcept nogil:
    cdef uint32_t i = 0
    while True:
        while i < n and REGNAME[p[i]]:
            i += 1
        if n - i < 3 or p[i] != c"%" or not HEX[p[i + 1]] or not HEX[p[i + 2]]:
            return i
        i += 3


cdef bint is_authority(const uint8_t* p, uint32_t n) noexcept nogil:
    cdef uint32_t i = 0
    if n == 0 or n > MAX_AUTHORITY:
        return False
    if p[0] == c"[":
        while i < n and p[i] != c"]":
            i += 1
        if i == n or not is_ipv6(p + 1, i - 1):
            return False
        i += 1
    else:
        i = regname(p, n)
        if i == 0:
            return False
    return i == n or (p[i] == c":" and is_port(p + i + 1, n - i - 1))
