"""Field lines: names, values, and which of them the plane must know.  RFC 9112 5.

Strict where it could matter to framing: CRLF only, no blank before the colon, no folding,
no control character.  Linear in the bytes; a head that trickles in is parsed at its first
bytes, after its first line and at its end, and only searched for LF in between.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memchr

from wsgistack.balancer.plane.faults cimport (
    FAULT_BARE_CR,
    FAULT_BARE_LF,
    FAULT_CONTENT_LENGTH_REPEATED,
    FAULT_FIELD_NAME_EMPTY,
    FAULT_FIELD_NAME_INVALID,
    FAULT_FIELD_NAME_TOO_LONG,
    FAULT_FIELD_VALUE_INVALID,
    FAULT_HOST_REPEATED,
    FAULT_OBS_FOLD,
    FAULT_SPACE_BEFORE_COLON,
    FAULT_TOO_MANY_FIELDS,
)
from wsgistack.balancer.plane.identity cimport is_identity
from wsgistack.balancer.plane.message cimport (
    F_BUCKET,
    F_CONNECTION,
    F_CONTENT_LENGTH,
    F_COOKIE,
    F_EXPECT,
    F_FORWARDED,
    F_HOST,
    F_IDEMPOTENCY_KEY,
    F_IDENTITY,
    F_KEEP_ALIVE,
    F_OTHER,
    F_PROXY,
    F_PROXY_CONNECTION,
    F_REFERER,
    F_SET_COOKIE,
    F_TE,
    F_TRACEPARENT,
    F_TRAILER,
    F_TRANSFER_ENCODING,
    F_UNDERSCORE,
    F_UPGRADE,
    F_USER_AGENT,
    F_VIA,
    F_X_FORWARDED_FOR,
    F_X_FORWARDED_HOST,
    F_X_FORWARDED_PORT,
    F_X_FORWARDED_PROTO,
    F_X_REQUEST_ID,
    MAX_FIELDS,
    Field,
    Head,
)
from wsgistack.balancer.plane.octets cimport CR, LF, is_blank, same_word, skip_name, skip_value

cdef enum:
    MAX_NAME = 1024              # the registry's longest name has 44 bytes


cdef inline uint8_t known(const uint8_t* name, uint32_t n, const char* word, uint8_t id) noexcept nogil:
    return id if same_word(name, word, n) else F_OTHER


cdef inline uint8_t own_id(const uint8_t* p, uint32_t n) noexcept nogil:
    # By length, then by one letter that sets it apart from the common names of that length.
    cdef uint8_t first = p[0] | 32
    if n == 4:
        return known(p, n, b"host", F_HOST) if first == c"h" else F_OTHER
    if n == 10:
        if first == c"c":
            return known(p, n, b"connection", F_CONNECTION)
        if first == c"u":
            return known(p, n, b"user-agent", F_USER_AGENT)
        if first == c"s":
            return known(p, n, b"set-cookie", F_SET_COOKIE)
        return known(p, n, b"keep-alive", F_KEEP_ALIVE) if first == c"k" else F_OTHER
    if n == 14:
        return known(p, n, b"content-length", F_CONTENT_LENGTH) if first == c"c" else F_OTHER
    if n == 2:
        return known(p, n, b"te", F_TE)
    if n == 3:
        return known(p, n, b"via", F_VIA)
    if n == 5:
        return known(p, n, b"proxy", F_PROXY)
    if n == 6:
        if first == c"c":
            return known(p, n, b"cookie", F_COOKIE)
        return known(p, n, b"expect", F_EXPECT) if first == c"e" else F_OTHER
    if n == 7:
        if first == c"t":
            return known(p, n, b"trailer", F_TRAILER)
        if first == c"r":
            return known(p, n, b"referer", F_REFERER)
        return known(p, n, b"upgrade", F_UPGRADE) if first == c"u" else F_OTHER
    if n == 9:
        return known(p, n, b"forwarded", F_FORWARDED)
    if n == 11:
        return known(p, n, b"traceparent", F_TRACEPARENT) if first == c"t" else F_OTHER
    if n == 12:
        return known(p, n, b"x-request-id", F_X_REQUEST_ID) if first == c"x" else F_OTHER
    if n == 15:
        if first == c"i":
            return known(p, n, b"idempotency-key", F_IDEMPOTENCY_KEY)
        return known(p, n, b"x-forwarded-for", F_X_FORWARDED_FOR) if first == c"x" else F_OTHER
    if n == 16:
        if first == c"p":
            return known(p, n, b"proxy-connection", F_PROXY_CONNECTION)
        if first == c"w":
            return known(p, n, b"wsgistack-bucket", F_BUCKET)
        if first != c"x":
            return F_OTHER
        return known(p, n, b"x-forwarded-host", F_X_FORWARDED_HOST) | known(p, n, b"x-forwarded-port", F_X_FORWARDED_PORT)
    if n == 17:
        if first == c"t":
            return known(p, n, b"transfer-encoding", F_TRANSFER_ENCODING)
        return known(p, n, b"x-forwarded-proto", F_X_FORWARDED_PROTO) if first == c"x" else F_OTHER
    return F_OTHER


cdef inline uint8_t field_id(const uint8_t* p, uint32_t n) noexcept nogil:
    cdef uint8_t id = own_id(p, n)
    return F_IDENTITY if id == F_OTHER and is_identity(p, n) else id


cdef int name_fault(uint8_t c, bint empty) noexcept nogil:
    # A line whose name is followed by the byte c and not by a colon.
    if c == LF:
        return -FAULT_BARE_LF
    if empty:
        if is_blank(c):
            return -FAULT_OBS_FOLD
        return -FAULT_FIELD_NAME_EMPTY if c == c":" else -FAULT_FIELD_NAME_INVALID
    return -FAULT_SPACE_BEFORE_COLON if is_blank(c) else -FAULT_FIELD_NAME_INVALID


cdef int value_fault(const uint8_t* p, uint32_t i, uint32_t n) noexcept nogil:
    # A value that ends with other bytes than CRLF at i; 0: CR is the last byte at hand.
    if p[i] == LF:
        return -FAULT_BARE_LF
    if p[i] == CR:
        return 0 if i + 1 >= n else -FAULT_BARE_CR
    return -FAULT_FIELD_VALUE_INVALID


cdef int repeated(uint8_t id) noexcept nogil:
    return -FAULT_HOST_REPEATED if id == F_HOST else -FAULT_CONTENT_LENGTH_REPEATED


cdef int parse_fields(const uint8_t* p, uint32_t i, uint32_t n, Head* h, uint32_t dropped, uint32_t single) noexcept nogil:
    cdef Field* f = h.fields
    cdef uint32_t most = h.max_fields if h.max_fields < MAX_FIELDS else MAX_FIELDS
    cdef uint32_t count = 0, seen = 0, start, end, bit
    cdef uint8_t classes
    while i < n:
        if p[i] == CR:
            if i + 1 >= n:
                return 0
            if p[i + 1] != LF:
                return -FAULT_BARE_CR
            h.n_fields = <uint16_t>count
            h.seen = seen
            h.has_drops = (seen & dropped) != 0
            return <int>i + 2
        if count == most:
            return -FAULT_TOO_MANY_FIELDS

        start = i
        i = skip_name(p, i, n, &classes)
        if i - start > MAX_NAME:
            return -FAULT_FIELD_NAME_TOO_LONG
        if i == n:
            return 0
        if p[i] != c":" or i == start:
            return name_fault(p[i], i == start)
        f.name = start
        f.name_len = <uint16_t>(i - start)
        f.id = F_UNDERSCORE if classes & 2 else field_id(p + start, i - start)

        i += 1
        while i < n and is_blank(p[i]):
            i += 1
        f.value = i
        i = skip_value(p, i, n)
        if i == n:
            return 0
        if p[i] != CR or i + 1 >= n or p[i + 1] != LF:
            return value_fault(p, i, n)
        end = i
        while end > f.value and is_blank(p[end - 1]):
            end -= 1
        f.value_len = end - f.value
        i += 2

        bit = <uint32_t>1 << f.id
        if seen & bit & single:
            return repeated(f.id)
        seen |= bit
        f.drop = (bit & dropped) != 0
        f += 1
        count += 1
    return 0


cdef bint is_worth_a_parse(const uint8_t* p, size_t n, Head* h) noexcept nogil:
    cdef const uint8_t* end = p + n
    cdef const uint8_t* line = p + 2 if n >= 2 and p[0] == CR else p
    cdef uint32_t judged = h.scan & <uint32_t>LINE_JUDGED
    cdef uint32_t scan = h.scan ^ judged
    cdef const uint8_t* at = p + scan
    if scan == 0 or n >= h.max_bytes or scan > n:
        return True
    while at < end:
        at = <const uint8_t*>memchr(at, LF, end - at)
        if at == NULL:
            break
        # A bare one, the end of the head, or of its first line, which is judged without delay.
        if at >= line and (not judged or (at - 1)[0] != CR or (at - line >= 2 and (at - 2)[0] == LF)):
            return True
        at += 1
    h.scan = <uint32_t>n | judged
    return False


cdef const Field* find_field(const Head* h, int id) noexcept nogil:
    cdef const Field* f = &h.fields[0]
    cdef const Field* end = f + h.n_fields
    while f < end and f.id != id:
        f += 1
    return f
