# Networks, and whether an address is in one of them. IPv4 is ::ffff:a.b.c.d everywhere.

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcmp


cdef struct Cidr:
    uint8_t bits                 # of the 128
    uint8_t net[16]


cdef inline int is_v4(const uint8_t* address) noexcept nogil:
    cdef int i
    for i in range(10):
        if address[i]:
            return 0
    return address[10] == 0xff and address[11] == 0xff


# A network of IPv6 that is wider than ::ffff:0:0/96 holds no client of IPv4, see http/networks.py.
cdef inline int networks_hold(const Cidr* networks, uint32_t n, const uint8_t* address) noexcept nogil:
    cdef uint32_t i
    cdef int whole, rest
    for i in range(n):
        whole = networks[i].bits // 8
        rest = networks[i].bits % 8
        if memcmp(address, networks[i].net, whole) == 0 and (
                rest == 0 or (address[whole] ^ networks[i].net[whole]) >> (8 - rest) == 0) and (
                networks[i].bits >= 96 or not is_v4(address)):
            return 1
    return 0


cdef struct Ranges:              # of addresses: in order, apart from each other
    uint32_t n
    const uint8_t* ends          # the first and the last of each, 16 bytes both


cdef inline int ranges_hold(const Ranges* ranges, const uint8_t* address) noexcept nogil:
    cdef uint32_t low = 0, high = ranges.n, middle
    while low < high:
        middle = (low + high) // 2
        if memcmp(ranges.ends + 32 * middle, address, 16) > 0:
            high = middle
        else:
            low = middle + 1
    return low > 0 and memcmp(address, ranges.ends + 32 * low - 16, 16) <= 0
