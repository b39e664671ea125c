# Classes of bytes and the loops over them. All of it is inline; nothing reads at or beyond `end`.

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

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

    /* Each run below is searched 16 bytes at a time where it can be: `stops` says at which of them it ends. The last
       load may begin before i, in bytes of the same buffer, so nothing beyond `end` is read. */
    #ifdef __SSE2__
    #define WIRE_RUN(stops) \
        while (end - i >= 16) { \
            unsigned stop = stops(_mm_loadu_si128((const __m128i*)(p + i))); \
            if (stop) \
                return i + (uint32_t)__builtin_ctz(stop); \
            i += 16; \
        } \
        if (end >= 16 && i < end) { \
            unsigned stop = stops(_mm_loadu_si128((const __m128i*)(p + end - 16))) >> (16 - (end - i)); \
            return stop ? i + (uint32_t)__builtin_ctz(stop) : end; \
        }

    static inline unsigned wire_value_stops(__m128i v) {
        __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v);
        __m128i tab = _mm_cmpeq_epi8(v, _mm_set1_epi8('\\t')), del = _mm_cmpeq_epi8(v, _mm_set1_epi8(0x7f));
        return (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_andnot_si128(tab, low), del));
    }

    static inline unsigned wire_target_stops(__m128i v) {
        __m128i hash = _mm_cmpeq_epi8(v, _mm_set1_epi8('#')), del = _mm_cmpeq_epi8(v, _mm_set1_epi8(0x7f));
        /* Signed: bytes from 0x80 on are negative, so not above the space. */
        __m128i visible = _mm_cmpgt_epi8(v, _mm_set1_epi8(' '));
        return 0xffff & ~(unsigned)_mm_movemask_epi8(_mm_andnot_si128(_mm_or_si128(hash, del), visible));
    }

    /* Letters and "-" only, which is what names are made of; others are left to the table. */
    static inline unsigned wire_name_stops(__m128i v) {
        __m128i w = _mm_or_si128(v, _mm_set1_epi8(0x20));
        __m128i letter = _mm_and_si128(_mm_cmpgt_epi8(w, _mm_set1_epi8('a' - 1)), _mm_cmplt_epi8(w, _mm_set1_epi8('z' + 1)));
        return 0xffff & ~(unsigned)_mm_movemask_epi8(_mm_or_si128(letter, _mm_cmpeq_epi8(v, _mm_set1_epi8('-'))));
    }
    #else
    #define WIRE_RUN(stops)
    #endif

    /* Return where the run of value bytes that begins at i ends: the first other byte, or end. */
    static inline uint32_t wire_skip_value(const uint8_t* p, uint32_t i, uint32_t end) {
        WIRE_RUN(wire_value_stops)
        while (i < end && wire_value[p[i]])
            i++;
        return i;
    }

    static inline uint32_t wire_skip_target(const uint8_t* p, uint32_t i, uint32_t end) {
        WIRE_RUN(wire_target_stops)
        while (i < end && wire_target[p[i]])
            i++;
        return i;
    }

    static inline uint32_t wire_skip_letters(const uint8_t* p, uint32_t i, uint32_t end) {
        WIRE_RUN(wire_name_stops)
        return i;
    }

    /* The same for a name; *classes gathers what wire_token says of its bytes. */
    static inline uint32_t wire_skip_name(const uint8_t* p, uint32_t i, uint32_t end, uint8_t* classes) {
        uint8_t all = 0, one;
        i = wire_skip_letters(p, i, end);
        while (i < end && (one = wire_token[p[i]])) {
            all |= one;
            i++;
        }
        *classes = all;
        return i;
    }

    /* Compare n bytes, none of them a control, with a word in lower case without regard to case: bit 0x20 is all that
       may differ, and only letters have a twin there that is no control. */
    static inline int wire_same(const uint8_t* p, const char* word, uint32_t n) {
        const uint64_t bits = 0x2020202020202020u;
        uint64_t a, b;
        uint32_t i = 0;
        if (n >= 8) {
            for (; i + 8 < n; i += 8) {
                memcpy(&a, p + i, 8);
                memcpy(&b, word + i, 8);
                if ((a | bits) != b)
                    return 0;
            }
            memcpy(&a, p + n - 8, 8);
            memcpy(&b, word + n - 8, 8);
            return (a | bits) == b;
        }
        for (; i < n; i++)
            if ((p[i] | 0x20) != (uint8_t)word[i])
                return 0;
        return 1;
    }
    """
    const uint8_t* TOKEN "wire_token"
    const uint8_t* VALUE "wire_value"
    const uint8_t* REGNAME "wire_regname"
    const uint8_t* HEX "wire_hex"
    uint32_t skip_value "wire_skip_value"(const uint8_t* p, uint32_t i, uint32_t end) noexcept nogil
    uint32_t skip_name "wire_skip_name"(const uint8_t* p, uint32_t i, uint32_t end, uint8_t* classes) noexcept nogil
    uint32_t skip_target "wire_skip_target"(const uint8_t* p, uint32_t i, uint32_t end) noexcept nogil
    bint same_word "wire_same"(const uint8_t* p, const char* word, uint32_t n) noexcept nogil


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


# -- writing: there is room at `out`, which is returned behind what was written ----------------

cdef inline char* put(char* out, const char* p, size_t n) noexcept nogil:
    memcpy(out, p, n)
    return out + n


cdef inline char* put_number(char* out, uint64_t number) noexcept nogil:
    cdef char digits[20]
    cdef int at = 20
    while True:
        at -= 1
        digits[at] = <char>(48 + number % 10)
        number //= 10
        if number == 0:
            return put(out, digits + at, 20 - at)
