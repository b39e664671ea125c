"""Who of a service's visitors goes to which pool: the compiled twin of balancer/split.py.

    client -> worker: who is it? which bucket?  -> node of the bucket's pool
                                                -> keeper, told by Wsgistack-Bucket -> inner side: the same pool

A visitor is known by what the split says (an address, a field, a cookie of the application's), else by
our signed cookie.  One whom nobody knows gets a new token: it decides at once, and the answer sets the
cookie.  Nodes and the page cache never see that cookie: its keeper is told the bucket, by which it keeps
pages apart.

Where a bucket's pool has no place, because its nodes are down or full or its breaker is open, the
service's own pool takes the request.  On the inner side such an answer is marked: no page of one pool
is ever kept for the visitors of the other.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdio cimport snprintf
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy, memset, strlen

from wsgistack.balancer.plane.asker cimport Asker, came_by_https, find_asker
from wsgistack.balancer.plane.buf cimport buf_append, buf_release, buf_reserve, buf_tail
from wsgistack.balancer.plane.core cimport core_random, core_refresh, service_counts
from wsgistack.balancer.plane.exchange cimport exchange_free, exchange_new
from wsgistack.balancer.plane.fields cimport find_field
from wsgistack.balancer.plane.keys cimport find_cookie_sent
from wsgistack.balancer.plane.keys cimport find_field as find_named_field
from wsgistack.balancer.plane.networks cimport is_v4
from wsgistack.balancer.plane.octets cimport put_number
from wsgistack.balancer.plane.wire cimport F_BUCKET, Field, parse_request_head
from wsgistack.blake2b cimport BLAKE2B_MOST, Blake2b, blake2b_add, blake2b_end

cdef extern from "<arpa/inet.h>" nogil:
    const char* inet_ntop(int af, const void* address, char* out, unsigned int size)
    enum:
        AF_INET6

cdef enum:
    TOKEN = 24                   # characters of one that we make; wsgistack/splits.py
    MARK = 24
    LONGEST_TOKEN = 128
    LONGEST_ADDRESS = 64
    LINE = 320                   # a Set-Cookie

cdef const char* HEX = b"0123456789abcdef"


# -- who it is -----------------------------------------------------------------------------

cdef void sign(const Split* split, const char* token, uint32_t n, char* mark) noexcept nogil:
    cdef Blake2b b = split.mark
    cdef uint8_t digest[BLAKE2B_MOST]
    cdef int i
    blake2b_add(&b, <const uint8_t*>token, n)
    blake2b_end(&b, digest)
    for i in range(MARK // 2):
        mark[2 * i] = HEX[digest[i] >> 4]
        mark[2 * i + 1] = HEX[digest[i] & 15]


cdef inline int is_token_char(char c) noexcept nogil:
    return c"a" <= c <= c"z" or c"A" <= c <= c"Z" or c"0" <= c <= c"9" or c == c"_" or c == c"-"


# The token of our cookie TOKEN.MARK; 0: it is not ours.
cdef uint32_t read_token(const Split* split, const char* value, uint32_t size) noexcept nogil:
    cdef char mark[MARK]
    cdef uint32_t i, n
    cdef uint8_t differs = 0
    if size < MARK + 2 or size > LONGEST_TOKEN + MARK + 1:
        return 0
    n = size - MARK - 1
    if value[n] != c".":
        return 0
    for i in range(n):
        if not is_token_char(value[i]):
            return 0
    sign(split, value, n, mark)
    for i in range(MARK):        # all of them: how soon they differ tells nobody anything
        differs |= <uint8_t>(mark[i] ^ value[n + 1 + i])
    return n if differs == 0 else 0


cdef const char* show_address(Client* c, const Head* h, const char* p, char* room, uint32_t* size) noexcept nogil:
    # As balancer/split.py writes it: of IPv6 the /64, which is one client.
    cdef Asker who
    cdef char* out = room
    cdef int i
    size[0] = 0
    find_asker(c, h, p, &who)
    if not who.known:
        return NULL
    if is_v4(who.address):       # inet_ntop takes a third of a microsecond
        for i in range(12, 16):
            out = put_number(out, who.address[i])
            out[0] = c"."
            out += 1
        size[0] = <uint32_t>(out - room) - 1
        return room
    memset(who.address + 8, 0, 8)
    inet_ntop(AF_INET6, who.address, room, LONGEST_ADDRESS)
    size[0] = <uint32_t>strlen(room)
    return room


cdef const char* find_name(Client* c, const Head* h, const char* p, char* room, uint32_t* size) noexcept nogil:
    # What names the visitor beside our cookie; size 0: nothing does.
    cdef const Split* split = c.service.split
    size[0] = 0
    if split.by == SPLIT_BY_IP:
        return show_address(c, h, p, room, size)
    if split.by == SPLIT_BY_HEADER:
        return find_named_field(h, p, split.name, split.name_len, size)
    return find_cookie_sent(h, p, split.name, split.name_len, size) if split.name_len else NULL


# -- where he stands -----------------------------------------------------------------------

cdef const Share* share_at(const Split* split, const char* before, const char* visitor, uint32_t n) noexcept nogil:
    cdef Blake2b b = split.draw
    cdef uint8_t digest[BLAKE2B_MOST]
    cdef uint64_t at
    cdef uint32_t i
    blake2b_add(&b, <const uint8_t*>before, <uint32_t>strlen(before))
    blake2b_add(&b, <const uint8_t*>visitor, n)
    blake2b_end(&b, digest)
    at = <uint64_t>digest[0] << 24 | <uint64_t>digest[1] << 16 | <uint64_t>digest[2] << 8 | digest[3]
    for i in range(split.n):
        if at < split.shares[i].begin:       # what the share before may grow into
            return NULL
        if at < split.shares[i].end:
            return &split.shares[i]
    return NULL


cdef void make_token(Core* core, char* token) noexcept nogil:
    cdef uint64_t bits = 0
    cdef int i
    for i in range(TOKEN):
        if i % 8 == 0:
            bits = core_random(core)
        token[i] = HEX[bits & 15]
        bits >>= 4


cdef void tell_cookie(Client* c, const char* token, int is_secure) noexcept nogil:
    # Without memory for it the next answer tells another one.
    cdef const Split* split = c.service.split
    cdef char mark[MARK]
    if buf_reserve(&c.ex.told, LINE) != 0:
        return
    sign(split, token, TOKEN, mark)
    c.ex.told.end += <uint32_t>snprintf(
        buf_tail(&c.ex.told), LINE, b"Set-Cookie: %.*s=%.*s.%.*s; Path=/; Max-Age=%u; HttpOnly; SameSite=Lax%s\r\n",
        <int>split.cookie_len, split.cookie, <int>TOKEN, token, <int>MARK, mark, split.max_age_s,
        b"; Secure" if is_secure else b"")


cdef const Share* find_share(Client* c, const Head* h, const char* p) noexcept nogil:
    cdef const Split* split = c.service.split
    cdef char room[LONGEST_ADDRESS]
    cdef uint32_t n = 0
    cdef const char* text = find_name(c, h, p, room, &n)
    if n:
        return share_at(split, b"by ", text, n)
    text = find_cookie_sent(h, p, split.cookie, split.cookie_len, &n)
    if text != NULL:
        n = read_token(split, text, n)
        if n:
            return share_at(split, b"", text, n)
    make_token(c.ep.core, room)
    tell_cookie(c, room, came_by_https(c, h, p))
    return share_at(split, b"", room, TOKEN)


# -- one request ---------------------------------------------------------------------------

cdef void mark_as_strayed(Exchange* ex) noexcept nogil:
    # The keeper takes it off; it must not keep such a page.
    buf_append(&ex.told, b"Wsgistack-Own: other-pool\r\n", 27)


cdef void begin_inside(Client* c, const Head* h, const char* p) noexcept nogil:
    # The worker before has decided, and the keeper keeps its pages by that.
    cdef const Split* split = c.service.split
    cdef const Field* f = find_field(h, F_BUCKET)
    cdef const char* name
    cdef uint32_t i
    for i in range(split.n if split != NULL else 0):
        name = split.shares[i].pool.name
        if strlen(name) == f.value_len and memcmp(name, p + f.value, f.value_len) == 0:
            c.ex.bucket = split.shares[i].number
            return
    mark_as_strayed(c.ex)


cdef void split_begin(Client* c, const Head* h, const char* p) noexcept nogil:
    cdef const Share* share
    if c.inner:
        begin_inside(c, h, p)
        return
    share = find_share(c, h, p)
    if share != NULL:
        c.ex.bucket = share.number
    service_counts(c).buckets[0 if share == NULL else share.cell] += 1


cdef void split_prepare(Client* c) noexcept nogil:
    # An application that is told to use the same name: two of them would take turns.  On the inner side it
    # stays, for a page that comes with it is nobody else's.
    c.ex.only_ours = NULL if c.inner else c.service.split.cookie
    c.ex.only_ours_len = c.service.split.cookie_len


cdef void split_stray(Client* c) noexcept nogil:
    if c.ex.strayed:
        return
    service_counts(c).strayed += 1
    if c.inner:
        mark_as_strayed(c.ex)
    c.ex.strayed = 1


cdef double split_time(Core* core, Service* service, bytes head, int count) except -1:
    # For bench/split.py: nanoseconds that the bucket of one request costs, and what its visitor is told.
    cdef Client* c = <Client*>calloc(1, sizeof(Client))
    cdef Exchange* ex = exchange_new()
    cdef uint64_t began_us
    cdef int i
    core.head.max_bytes, core.head.max_fields, core.head.max_target, core.head.scan = 32768, 100, 16384, 0
    if c == NULL or ex == NULL or parse_request_head(head, len(head), &core.head) <= 0:
        raise ValueError("no whole head, or no memory")
    c.ep.core, c.service, c.ex = core, service, ex
    c.peer_len = 9
    memcpy(c.peer, b"192.0.2.7", 9)
    core_refresh(core)
    began_us = core.now_us
    for i in range(count):
        split_begin(c, &core.head, head)
        buf_release(&ex.told)
    core_refresh(core)
    began_us = core.now_us - began_us
    exchange_free(ex)
    free(c)
    return began_us * 1000.0 / count
