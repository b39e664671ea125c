# BLAKE2b, with a key of 32 bytes or without one, RFC 7693; see blake2b.pyx.

from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef enum:
    BLAKE2B_KEY = 32
    BLAKE2B_MOST = 64            # bytes of a digest
    BLAKE2B_PERSON = 16
    BLAKE2B_BLOCK = 128


cdef struct Blake2b:
    uint64_t h[8]
    uint64_t t                   # bytes before those in the block
    uint32_t used                # of the block
    uint8_t block[BLAKE2B_BLOCK]


# Take in the key, if it is not NULL: copies of `out` begin all hashes with it, for one block's work less.
cdef void blake2b_begin(Blake2b* out, const uint8_t* key, uint32_t digest_size, const uint8_t* person) noexcept nogil
# Take in more of the message, of which there must be at least a byte where there is a key.
cdef void blake2b_add(Blake2b* b, const uint8_t* p, size_t n) noexcept nogil
# Write the digest, BLAKE2B_MOST bytes of which the first digest_size count.
cdef void blake2b_end(Blake2b* b, uint8_t* out) noexcept nogil
