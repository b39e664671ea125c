# The hashes of hashes.py, compiled: see there for what they are.

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

cdef extern from *:
    """
    #include <stdint.h>
    #include <math.h>
    #define WSGISTACK_TURN(x, n) ((x) << (n) | (x) >> (32 - (n)))

    static uint32_t wsgistack_sines[64];     /* RFC 1321, 3.4: the integer part of 2**32 * |sin(i)| */
    static uint32_t wsgistack_crcs[256];

    static void wsgistack_tables(void) {
        for (int i = 0; i < 64; i++) wsgistack_sines[i] = (uint32_t)(int64_t)floor(fabs(sin(i + 1.0)) * 4294967296.0);
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t c = i;
            for (int k = 0; k < 8; k++) c = c & 1 ? c >> 1 ^ 0xEDB88320u : c >> 1;
            wsgistack_crcs[i] = c;
        }
    }

    /* One block of RFC 1321.  The rounds are loops that the compiler unrolls. */
    static void wsgistack_md5_block(uint32_t *state, const uint32_t *x) {
        static const int turns[4][4] = {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};
        uint32_t a = state[0], b = state[1], c = state[2], d = state[3], f, t;
    #define WSGISTACK_ROUNDS(part, mix, word) \\
        _Pragma("GCC unroll 16") for (int i = 0; i < 16; i++) { \\
            f = a + (mix) + x[(word) & 15] + wsgistack_sines[16 * part + i]; \\
            t = turns[part][i & 3]; \\
            a = d; d = c; c = b; b += WSGISTACK_TURN(f, t); \\
        }
        WSGISTACK_ROUNDS(0, (b & c) | (~b & d), i)
        WSGISTACK_ROUNDS(1, (d & b) | (~d & c), 5 * i + 1)
        WSGISTACK_ROUNDS(2, b ^ c ^ d, 3 * i + 5)
        WSGISTACK_ROUNDS(3, c ^ (b | ~d), 7 * i)
        state[0] += a; state[1] += b; state[2] += c; state[3] += d;
    }
    """
    void make_tables "wsgistack_tables"() noexcept nogil
    void md5_block "wsgistack_md5_block"(uint32_t* state, const uint32_t* words) noexcept nogil
    const uint32_t* crcs "wsgistack_crcs"


cdef inline uint32_t md5_word(const uint8_t* text, size_t size) noexcept nogil:
    # Words are read as this machine has them: little-endian, as everything that gevent runs on.
    cdef uint32_t state[4]
    cdef uint32_t words[16]
    cdef uint64_t bits = <uint64_t>size * 8
    cdef size_t left = size
    state[0], state[1], state[2], state[3] = 0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476
    while left >= 64:
        memcpy(words, text, 64)
        md5_block(state, words)
        text += 64
        left -= 64
    memset(words, 0, 64)
    memcpy(words, text, left)
    (<uint8_t*>words)[left] = 0x80
    if left >= 56:
        md5_block(state, words)
        memset(words, 0, 64)
    memcpy(words + 14, &bits, 8)
    md5_block(state, words)
    return state[0]


cdef inline uint32_t crc32(const uint8_t* text, size_t size) noexcept nogil:
    cdef uint32_t value = 0xFFFFFFFF
    cdef size_t i
    for i in range(size):
        value = crcs[(value ^ text[i]) & 0xFF] ^ (value >> 8)
    return ~value


cdef inline uint32_t one_at_a_time(const uint8_t* text, size_t size) noexcept nogil:
    cdef uint32_t value = 0
    cdef size_t i
    for i in range(size):
        value += text[i]
        value += value << 10
        value ^= value >> 6
    value += value << 3
    value ^= value >> 11
    value += value << 15
    return value


cdef inline uint32_t fnv1a(const uint8_t* text, size_t size) noexcept nogil:
    cdef uint32_t value = 0x84222325
    cdef size_t i
    for i in range(size):
        value = (value ^ <uint32_t><int><signed char>text[i]) * <uint32_t>0x1B3
    return value
