# Classes of bytes and the loops over them. All of it is inline; nothing reads at or beyond `end`.

from libc.stdint cimport uint8_t, uint32_t

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    #ifdef __SSE2__
    #include <emmintrin.h>
    #endif
    #define WIRE_TABLE __attribute__((unused)) static const uint8_t

    /* tchar, RFC 9110 5.6.2; 2 marks the underscore, which WSGI can not tell from "-". */
    WIRE_TABLE wire_token[256] = {
        ['!'] = 1, ['#' ... '\\''] = 1, ['*'] = 1, ['+'] = 1, ['-'] = 1, ['.'] = 1, ['0' ... '9'] = 1,
        ['A' ... 'Z'] = 1, ['^'] = 1, ['_'] = 2, ['`' ... 'z'] = 1, ['|'] = 1, ['~'] = 1,
    };
    /* field-vchar, SP and HTAB, RFC 9110 5.5; also a reason phrase. Other controls are refused, DEL too. */
    WIRE_TABLE wire_value[256] = {
        ['\\t'] = 1, [' ' ... '~'] = 1, [0x80 ... 0xff] = 1,
    };
    /* What a request target may hold: visible ASCII without "#", RFC 9112 3.2. */
    WIRE_TABLE wire_target[256] = {
        ['!' ... '"'] = 1, ['$' ... '~'] = 1,
    };
    /* reg-name without pct-encoded: unreserved and sub-delims, RFC 3986 3.2.2. */
    WIRE_TABLE wire_regname[256] = {
        ['!'] = 1, ['$'] = 1, ['&' ... '.'] = 1, ['0' ... '9'] = 1, [';'] = 1, ['='] = 1,
        ['A' ... 'Z'] = 1, ['_'] = 1, ['a' ... 'z'] = 1, ['~'] = 1,
    };
    /* The value of a hexadecimal digit plus 1. */
    WIRE_TABLE wire_hex[256] = {
        ['0'] = 1, ['1'] = 2, ['2'] = 3, ['3'] = 4, ['4'] = 5, ['5'] = 6, ['6'] = 7, ['7'] = 8, ['8'] = 9, ['9'] = 10,
        ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
        ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
    };

    /* Return where the run of value bytes that begins at i ends: the first other byte, or end. */
    static inline uint32_t wire_skip_value(const uint8_t* p, uint32_t i, uint32_t end) {
    #ifdef __SSE2__
        const __m128i us = _mm_set1_epi8(0x1f), tab = _mm_set1_epi8('\\t'), del = _mm_set1_epi8(0x7f);
        while (end - i >= 16) {
            __m128i v = _mm_loadu_si128((const __m128i*)(p + i));
            __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(v, us), v);
            unsigned stop = (unsigned)_mm_movemask_epi8(
                _mm_or_si128(_mm_andnot_si128(_mm_cmpeq_epi8(v, tab), low), _mm_cmpeq_epi8(v, del)));
            if (stop)
                return i + (uint32_t)__builtin_ctz(stop);
            i += 16;
        }
    #endif
        while (i < end && wire_value[p[i]])
            i++;
        return i;
    }

    /* The same for the bytes of a target. */
    static inline uint32_t wire_skip_target(const uint8_t* p, uint32_t i, uint32_t end) {
    #ifdef __SSE2__
        const __m128i space = _mm_set1_epi8(' '), hash = _mm_set1_epi8('#'), del = _mm_set1_epi8(0x7f);
        while (end - i >= 16) {
            __m128i v = _mm_loadu_si128((const __m128i*)(p + i));
            /* Signed: bytes from 0x80 on are negative, so not above the space. */
            unsigned good = (unsigned)_mm_movemask_epi8(_mm_andnot_si128(
                _mm_or_si128(_mm_cmpeq_epi8(v, hash), _mm_cmpeq_epi8(v, del)), _mm_cmpgt_epi8(v, space)));
            if (good != 0xffff)
                return i + (uint32_t)__builtin_ctz(~good);
            i += 16;
        }
    #endif
        while (i < end && wire_target[p[i]])
            i++;
        return i;
    }
    """
    const uint8_t* TOKEN "wire_token"
    const uint8_t* VALUE "wire_value"
    const uint8_t* REGNAME "wire_regname"
    const uint8_t* HEX "wire_hex"
    uint32_t skip_value "wire_skip_value"(const uint8_t* p, uint32_t i, uint32_t end) noexcept nogil
    uint32_t skip_target "wire_skip_target"(const uint8_t* p, uint32_t i, uint32_t end) noexcept nogil


cdef enum Octet:
    TAB = 9
    LF = 10
    CR = 13
    SPACE = 32


# The range of one element within a list, without the blanks around it.
cdef struct Span:
    uint32_t start, end


cdef inline bint is_digit(uint8_t c) noexcept nogil:
    return 48 <= c <= 57


cdef inline bint is_blank(uint8_t c) noexcept nogil:
    return c == SPACE or c == TAB


cdef inline uint8_t lower(uint8_t c) noexcept nogil:
    return c + 32 if 65 <= c <= 90 else c


# Compare p[0:n] with `word` (lower case, n bytes) without regard to case.
cdef inline bint same_word(const uint8_t* p, const char* word, uint32_t n) noexcept nogil:
    cdef uint32_t i
    for i in range(n):
        if lower(p[i]) != <uint8_t>word[i]:
            return False
    return True


cdef inline bint is_token(const uint8_t* p, uint32_t i, uint32_t end) noexcept nogil:
    if i == end:
        return False
    while i < end:
        if not TOKEN[p[i]]:
            return False
        i += 1
    return True


# Take the next element of a comma-separated list off p[i[0]:end]; elements may be empty. False: none is left.
# A caller starts with i[0] = the value's offset; i[0] = end + 1 says that the list is used up.
cdef inline bint next_element(const uint8_t* p, uint32_t* i, uint32_t end, Span* out) noexcept nogil:
    cdef uint32_t j = i[0]
    if j > end:
        return False
    out.start = j
    while j < end and p[j] != 44:        # ,
        j += 1
    i[0] = j + 1
    out.end = j
    while out.start < out.end and is_blank(p[out.start]):
        out.start += 1
    while out.end > out.start and is_blank(p[out.end - 1]):
        out.end -= 1
    return True
