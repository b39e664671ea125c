"""Chunked bodies, decoded where they lie.  RFC 9112 7.1.

    chunk          = chunk-size [ chunk-ext ] CRLF chunk-data CRLF
    chunk-ext      = *( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )

Extensions are checked and dropped.  An LF is never part of one (CVE-2025-55315), and both
bytes after the data are compared (CVE-2025-43859).
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from wsgistack.balancer.plane.message cimport CHUNK_DATA, CHUNK_FAULT, CHUNK_MORE, CHUNK_TRAILERS, Chunked
from wsgistack.balancer.plane.octets cimport CR, HEX, LF, TOKEN, VALUE, is_blank

cdef enum:
    MAX_LINE = 4096              # one size line
    MAX_EXTENSIONS = 16384       # of a whole body; Go's bound of CVE-2023-39326 is 16 KiB too

cdef enum State:
    SIZE = 0
    SIZE_LF
    DATA
    DATA_CR
    DATA_LF
    EXT                          # after a blank: ";" must come
    EXT_NAME_START
    EXT_NAME
    EXT_NAME_END                 # after a blank: "=" or ";"
    EXT_VALUE_START
    EXT_VALUE
    EXT_QUOTED
    EXT_ESCAPED
    EXT_QUOTED_END
    LAST                         # the trailer section follows
    BROKEN


cdef inline uint8_t after_part(uint8_t c) noexcept nogil:
    # What may follow a size, a token value or a quoted string.
    if c == CR:
        return SIZE_LF
    if c == c";":
        return EXT_NAME_START
    return EXT if is_blank(c) else BROKEN


cdef uint8_t extension(uint8_t state, uint8_t c) noexcept nogil:
    if state == EXT:
        if is_blank(c):
            return EXT
        return EXT_NAME_START if c == c";" else BROKEN
    if state == EXT_NAME_START:
        if TOKEN[c]:
            return EXT_NAME
        return EXT_NAME_START if is_blank(c) else BROKEN
    if state == EXT_NAME:
        if TOKEN[c]:
            return EXT_NAME
        if is_blank(c):
            return EXT_NAME_END
        return EXT_VALUE_START if c == c"=" else after_part(c)
    if state == EXT_NAME_END:
        if is_blank(c):
            return EXT_NAME_END
        if c == c"=":
            return EXT_VALUE_START
        return EXT_NAME_START if c == c";" else BROKEN
    if state == EXT_VALUE_START:
        if TOKEN[c]:
            return EXT_VALUE
        if c == c'"':
            return EXT_QUOTED
        return EXT_VALUE_START if is_blank(c) else BROKEN
    if state == EXT_VALUE:
        return EXT_VALUE if TOKEN[c] else after_part(c)
    if state == EXT_QUOTED:
        if c == c'"':
            return EXT_QUOTED_END
        if c == c"\\":
            return EXT_ESCAPED
        return EXT_QUOTED if VALUE[c] else BROKEN
    if state == EXT_ESCAPED:
        return EXT_QUOTED if VALUE[c] else BROKEN
    return after_part(c)         # EXT_QUOTED_END


cdef inline uint8_t size_byte(Chunked* c, uint8_t byte) noexcept nogil:
    cdef uint8_t digit = HEX[byte]
    if digit == 0:
        return after_part(byte) if c.line > 1 else BROKEN
    if c.digits or digit > 1:
        c.digits += 1            # leading zeros do not count
    # 16 digits whose first is 8 or more pass 2**63 - 1.
    if c.digits > 16 or c.remaining >> 59:
        return BROKEN
    c.remaining = c.remaining << 4 | (digit - 1)
    return SIZE


# One byte of a size line.
cdef inline uint8_t line_byte(Chunked* c, uint8_t byte) noexcept nogil:
    c.line += 1
    if c.line > MAX_LINE:
        return BROKEN
    if c.state == SIZE:
        return size_byte(c, byte)
    if c.state == SIZE_LF:
        if byte != LF:
            return BROKEN
        return DATA if c.remaining else LAST
    c.extensions += 1
    return extension(c.state, byte) if c.extensions <= MAX_EXTENSIONS else BROKEN


cdef int chunk_next(Chunked* c, const char* p, size_t n, size_t* used, const char** data, size_t* data_len) noexcept nogil:
    cdef size_t i = 0
    if c.state >= LAST:
        used[0] = 0
        return CHUNK_FAULT if c.state == BROKEN else CHUNK_TRAILERS
    while i < n:
        if c.state == DATA:
            data[0] = p + i
            data_len[0] = n - i if n - i < c.remaining else <size_t>c.remaining
            c.remaining -= data_len[0]
            if c.remaining == 0:
                c.state = DATA_CR
            used[0] = i + data_len[0]
            return CHUNK_DATA
        if c.state == DATA_CR:
            c.state = DATA_LF if p[i] == CR else BROKEN
        elif c.state == DATA_LF:
            c.state = SIZE if p[i] == LF else BROKEN
            c.line = 0
            c.digits = 0
        elif c.state < LAST:
            c.state = line_byte(c, <uint8_t>p[i])
        if c.state >= LAST:
            break
        i += 1
    if c.state == BROKEN:
        used[0] = i
        return CHUNK_FAULT
    if c.state == LAST:
        used[0] = i + 1
        return CHUNK_TRAILERS
    used[0] = n
    return CHUNK_MORE


cdef size_t write_chunk_size(uint64_t size, char* out) noexcept nogil:
    cdef const char* hexadecimal = b"0123456789abcdef"
    cdef int digits = 1, i
    while digits < 16 and size >> (4 * digits):
        digits += 1
    for i in range(digits):
        out[i] = hexadecimal[(size >> (4 * (digits - 1 - i))) & 15]
    out[digits] = CR
    out[digits + 1] = LF
    return digits + 2
