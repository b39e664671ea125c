"""BLAKE2b with a personalisation, and a key or none, after RFC 7693: what hashlib.blake2b says, without a Python object.

Words are taken as they lie in memory, which is right where the lowest byte comes first.
"""

import sys

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

if sys.byteorder != "little":
    raise ImportError("this BLAKE2b is written for little-endian machines")

cdef enum:
    ROUNDS = 12

# RFC 7693 2.6
cdef uint64_t[8] IV = [
    0x6A09E667F3BCC908, 0xBB67AE8584CAA73B, 0x3C6EF372FE94F82B, 0xA54FF53A5F1D36F1,
    0x510E527FADE682D1, 0x9B05688C2B3E6C1F, 0x1F83D9ABFB41BD6B, 0x5BE0CD19137E2179,
]

# RFC 7693 2.7; the rounds 10 and 11 begin again
cdef uint8_t[160] SIGMA = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
    14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3,
    11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4,
    7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8,
    9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13,
    2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9,
    12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11,
    13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10,
    6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5,
    10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0,
]


cdef inline uint64_t rotated(uint64_t x, int by) noexcept nogil:
    return x >> by | x << (64 - by)


cdef inline void mix(uint64_t* a, uint64_t* b, uint64_t* c, uint64_t* d, uint64_t x, uint64_t y) noexcept nogil:
    # RFC 7693 3.1
    a[0] += b[0] + x
    d[0] = rotated(d[0] ^ a[0], 32)
    c[0] += d[0]
    b[0] = rotated(b[0] ^ c[0], 24)
    a[0] += b[0] + y
    d[0] = rotated(d[0] ^ a[0], 16)
    c[0] += d[0]
    b[0] = rotated(b[0] ^ c[0], 63)


cdef void compress(Blake2b* b, int is_last) noexcept nogil:
    # RFC 7693 3.2; no message is as long as 2**64 bytes
    cdef uint64_t v[16]
    cdef uint64_t m[16]
    cdef const uint8_t* s
    cdef int i
    memcpy(m, b.block, BLAKE2B_BLOCK)
    for i in range(8):
        v[i] = b.h[i]
        v[i + 8] = IV[i]
    v[12] ^= b.t
    if is_last:
        v[14] = ~v[14]
    for i in range(ROUNDS):
        s = &SIGMA[i % 10 * 16]
        mix(&v[0], &v[4], &v[8], &v[12], m[s[0]], m[s[1]])
        mix(&v[1], &v[5], &v[9], &v[13], m[s[2]], m[s[3]])
        mix(&v[2], &v[6], &v[10], &v[14], m[s[4]], m[s[5]])
        mix(&v[3], &v[7], &v[11], &v[15], m[s[6]], m[s[7]])
        mix(&v[0], &v[5], &v[10], &v[15], m[s[8]], m[s[9]])
        mix(&v[1], &v[6], &v[11], &v[12], m[s[10]], m[s[11]])
        mix(&v[2], &v[7], &v[8], &v[13], m[s[12]], m[s[13]])
        mix(&v[3], &v[4], &v[9], &v[14], m[s[14]], m[s[15]])
    for i in range(8):
        b.h[i] ^= v[i] ^ v[i + 8]


cdef void blake2b_begin(Blake2b* out, const uint8_t* key, uint32_t digest_size, const uint8_t* person) noexcept nogil:
    cdef uint64_t words[2]
    cdef int i
    memset(out, 0, sizeof(Blake2b))
    for i in range(8):
        out.h[i] = IV[i]
    out.h[0] ^= digest_size | 1 << 16 | 1 << 24       # RFC 7693 2.5: no tree
    memcpy(words, person, BLAKE2B_PERSON)
    out.h[6] ^= words[0]
    out.h[7] ^= words[1]
    if key == NULL:
        return
    out.h[0] ^= BLAKE2B_KEY << 8
    memcpy(out.block, key, BLAKE2B_KEY)
    out.t = BLAKE2B_BLOCK
    compress(out, 0)


cdef void blake2b_add(Blake2b* b, const uint8_t* p, size_t n) noexcept nogil:
    cdef size_t step
    while n:
        if b.used == BLAKE2B_BLOCK:      # more follows: it is not the last one
            b.t += BLAKE2B_BLOCK
            compress(b, 0)
            b.used = 0
        step = BLAKE2B_BLOCK - b.used if n > BLAKE2B_BLOCK - b.used else n
        memcpy(b.block + b.used, p, step)
        b.used += <uint32_t>step
        p += step
        n -= step


cdef void blake2b_end(Blake2b* b, uint8_t* out) noexcept nogil:
    b.t += b.used
    memset(b.block + b.used, 0, BLAKE2B_BLOCK - b.used)
    compress(b, 1)
    memcpy(out, b.h, BLAKE2B_MOST)


# -- the face for tests --------------------------------------------------------------------

def digest(parts: list[bytes], key: bytes, digest_size: int, person: bytes) -> bytes:
    """Return what hashlib.blake2b says of *parts*, one after the other; with a *key* they are not all empty."""
    cdef Blake2b b
    cdef uint8_t out[BLAKE2B_MOST]
    cdef bytes part
    if len(person) > BLAKE2B_PERSON or key and (len(key) != BLAKE2B_KEY or not any(parts)):
        raise ValueError("a key of 32 bytes and a message, or no key, and a person of at most 16")
    person = person.ljust(BLAKE2B_PERSON, b"\0")
    blake2b_begin(&b, <const uint8_t*>key if key else NULL, digest_size, person)
    for part in parts:
        blake2b_add(&b, part, len(part))
    blake2b_end(&b, out)
    return out[:digest_size]
