# SipHash-1-3 of a key, under the store's own secret: nobody can choose keys that fall into one bucket.
# Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012; one and three rounds, as in CPython.

from libc.stdint cimport uint64_t
from libc.string cimport memcpy


cdef inline void sip_round(uint64_t* v) noexcept nogil:
    v[0] += v[1]
    v[2] += v[3]
    v[1] = ((v[1] << 13) | (v[1] >> 51)) ^ v[0]
    v[3] = ((v[3] << 16) | (v[3] >> 48)) ^ v[2]
    v[0] = (v[0] << 32) | (v[0] >> 32)
    v[2] += v[1]
    v[0] += v[3]
    v[1] = ((v[1] << 17) | (v[1] >> 47)) ^ v[2]
    v[3] = ((v[3] << 21) | (v[3] >> 43)) ^ v[0]
    v[2] = (v[2] << 32) | (v[2] >> 32)


cdef inline uint64_t siphash(const char* text, size_t size, const uint64_t* secret) noexcept nogil:
    cdef uint64_t v[4]
    cdef uint64_t word
    cdef size_t left = size
    v[0] = secret[0] ^ <uint64_t>0x736F6D6570736575
    v[1] = secret[1] ^ <uint64_t>0x646F72616E646F6D
    v[2] = secret[0] ^ <uint64_t>0x6C7967656E657261
    v[3] = secret[1] ^ <uint64_t>0x7465646279746573
    while left >= 8:
        memcpy(&word, text, 8)
        v[3] ^= word
        sip_round(v)
        v[0] ^= word
        text += 8
        left -= 8
    word = 0
    memcpy(&word, text, left)
    word |= <uint64_t>(size & 0xFF) << 56
    v[3] ^= word
    sip_round(v)
    v[0] ^= word
    v[2] ^= 0xFF
    sip_round(v)
    sip_round(v)
    sip_round(v)
    return v[0] ^ v[1] ^ v[2] ^ v[3]
