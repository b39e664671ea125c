"""Which requests a page cache may answer, and the answers that workers give by themselves.

    anonymous, plain, and in the ready table     answered here, as the keeper would
    anonymous                                    the hop: the keeper decides (forward.pyx)
    of a method that may change something        the same, whoever asks: it makes pages worthless (RFC 9111 4.4)
    personal                                     straight to the pool, as if there were no cache

The rules are those of cache/personal.py, whose answers this never contradicts: what it can not tell for
sure, the keeper decides.  Cache-Status and Age are what cache/status.py and cache/page.py would write.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memchr, memcmp, strlen

from wsgistack.balancer.plane.board cimport KEEPER_ROW
from wsgistack.balancer.plane.buf cimport buf_data, buf_len, buf_release, buf_reserve, buf_tail
from wsgistack.balancer.plane.cookies cimport next_piece
from wsgistack.balancer.plane.core cimport Client, Core, service_counts
from wsgistack.balancer.plane.exchange cimport RES_DONE, Exchange
from wsgistack.balancer.plane.octets cimport TOKEN, Span, is_blank, is_token, lower, put, put_number, same_word
from wsgistack.balancer.plane.page_rules cimport (
    ASKS,
    NAME_LENGTHS,
    PERSONAL,
    WAY_BYPASS,
    WAY_FALLBACK,
    WAY_HIT,
    WAY_HOP,
    Claimed,
    PageRules,
    Words,
)
from wsgistack.balancer.plane.paths cimport path_fits
from wsgistack.balancer.plane.ready_table cimport READY_KEY, ReadyPage, ready_find, ready_holds, ready_make_key
from wsgistack.balancer.plane.sticky cimport STICKY_COOKIE
from wsgistack.balancer.plane.wire cimport (
    F_COOKIE,
    F_EXPECT,
    F_UPGRADE,
    F_X_FORWARDED_PROTO,
    M_GET,
    M_HEAD,
    M_OPTIONS,
    M_TRACE,
    Field,
    Head,
)

cdef enum:
    ROOM = 160                   # for the lines that are written when a page is sent
    LONGEST_COOKIE = 128         # name
    LONGEST_DETAIL = 64
    NOBODYS = 0                  # what cookies say
    MINE = 1
    UNSURE = 2


# -- who is asking -------------------------------------------------------------------------

cdef int meaning_of(const PageRules* rules, const char* p, const Field* f) noexcept nogil:
    cdef const uint8_t* name = <const uint8_t*>p + f.name
    cdef uint32_t i
    if f.name_len >= NAME_LENGTHS or not rules.starts[f.name_len] >> (name[0] & 31) & 1:
        return 0
    for i in range(rules.fields.n):
        if rules.fields.words[i].n == f.name_len and same_word(name, rules.fields.words[i].p, f.name_len):
            return rules.meanings[i]
    return 0


cdef int is_listed(const Words* list, const char* name, uint32_t n) noexcept nogil:
    cdef uint32_t i
    for i in range(list.n):
        if path_fits(list.words[i].p, list.words[i].n, name, n):
            return 1
    return 0


cdef int is_joined(const uint8_t* p, uint32_t n) noexcept nogil:
    # Several Cookie lines that somebody joined by commas: JOINED in cache/personal.py.
    cdef uint32_t i = 0, start
    while i < n:
        i += 1
        if p[i - 1] != 44:       # ,
            continue
        while i < n and is_blank(p[i]):
            i += 1
        start = i
        while i < n and TOKEN[p[i]]:
            i += 1
        if i > start and i < n and p[i] == 61:       # =
            return 1
    return 0


cdef int judge_cookie(const Client* c, const PageRules* rules, const char* name, uint32_t n) noexcept nogil:
    cdef char lowered[LONGEST_COOKIE]
    cdef uint32_t i
    if c.service.sticky == STICKY_COOKIE and n == c.service.sticky_name_len and memcmp(name, c.service.sticky_name, n) == 0:
        return NOBODYS           # ours: nobody behind the hop sees it
    if c.service.split != NULL and n == c.service.split.cookie_len and memcmp(name, c.service.split.cookie, n) == 0:
        return NOBODYS
    if n > LONGEST_COOKIE:
        return MINE
    for i in range(n):
        lowered[i] = <char>lower(<uint8_t>name[i])
    if is_listed(&rules.identity, lowered, n):
        return MINE
    if is_listed(&rules.keys, name, n):
        return UNSURE
    if is_listed(&rules.ignored, name, n):
        return NOBODYS
    if rules.doubts:
        return UNSURE
    return MINE if rules.strict else NOBODYS


cdef int judge_cookies(const Client* c, const PageRules* rules, const char* p, const Field* f, Claimed* out) noexcept nogil:
    cdef const uint8_t* value = <const uint8_t*>p + f.value
    cdef const uint8_t* equals
    cdef Span piece
    cdef uint32_t i = 0
    cdef int found = NOBODYS, one
    out.why = b"cookie:malformed"
    out.name_len = 0
    if memchr(value, 44, f.value_len) != NULL and is_joined(value, f.value_len):
        return MINE
    while next_piece(value, &i, f.value_len, &piece):
        if piece.end == piece.start:
            continue
        equals = <const uint8_t*>memchr(value + piece.start, 61, piece.end - piece.start)
        if equals == NULL or not is_token(value, piece.start, <uint32_t>(equals - value)):
            return MINE
        one = judge_cookie(c, rules, <const char*>value + piece.start, <uint32_t>(equals - value) - piece.start)
        if one == MINE:
            out.why = b"cookie:"
            out.name = <const char*>value + piece.start
            out.name_len = <uint32_t>(equals - value) - piece.start
            return MINE
        found |= one
    return found


cdef int judge_scheme(Client* c, const char* p, const Field* f, Claimed* out) noexcept nogil:
    # A trusted proxy says how the client came.
    if f.value_len == 5 and memcmp(p + f.value, b"https", 5) == 0:
        out.https = 1
    elif f.value_len == 4 and memcmp(p + f.value, b"http", 4) == 0:
        out.https = 0
    else:
        return 0
    return 1


# Return the way of a request; out.is_ready says whether the ready table may answer it.
cdef int judge(Client* c, const Head* h, const char* p, Claimed* out) noexcept nogil:
    cdef const PageRules* rules = c.service.pages
    cdef const Field* f
    cdef uint32_t i, encodings = 0, schemes = 0, cookies = 0
    cdef int what, is_plain = 1
    out.encoding = b""           # memcpy wants a place, also for nothing
    out.encoding_len = 0
    out.https = c.https
    for i in range(h.n_fields):
        f = &h.fields[i]
        if f.drop:
            continue
        if f.id == F_COOKIE and rules.for_guests:
            what = judge_cookies(c, rules, p, f, out)
            if what == MINE:
                return WAY_BYPASS
            cookies += 1
            is_plain = is_plain and what == NOBODYS and cookies == 1
            continue
        if f.id == F_X_FORWARDED_PROTO and c.trusted:
            schemes += 1
            is_plain = is_plain and schemes == 1 and judge_scheme(c, p, f, out)
            continue
        if f.name_len == 15 and same_word(<const uint8_t*>p + f.name, b"accept-encoding", 15):
            encodings += 1
            out.encoding = p + f.value
            out.encoding_len = f.value_len
            is_plain = is_plain and encodings == 1 and f.value_len > 0
            continue
        what = meaning_of(rules, p, f)
        if what == PERSONAL:
            out.why = b"field:"
            out.name = p + f.name
            out.name_len = f.name_len
            return WAY_BYPASS
        is_plain = is_plain and what != ASKS
    out.is_ready = (is_plain and (h.method_id == M_GET or h.method_id == M_HEAD) and h.host_len > 0
                    and h.target == h.method + h.method_len + 1 and not h.seen & (1 << F_EXPECT))
    return WAY_HOP


cdef int is_safe(const Head* h) noexcept nogil:
    # RFC 9110 9.2.1; what is not known is not.
    return h.method_id == M_GET or h.method_id == M_HEAD or h.method_id == M_OPTIONS or h.method_id == M_TRACE


cdef int way_of(Client* c, const Head* h, const char* p, Claimed* out) noexcept nogil:
    out.is_ready = 0
    out.name = NULL
    out.name_len = 0
    if h.seen & (1 << F_UPGRADE) and is_safe(h):  # a change is one, whatever its client would rather speak
        out.why = b"upgrade"
        return WAY_BYPASS
    if (h.method_id == M_GET or h.method_id == M_HEAD) and not c.ex.req_done:
        out.why = b"body"
        return WAY_BYPASS
    if c.ex.bucket and not c.service.pages.for_guests and is_safe(h):
        out.why = b"split"       # such a cache has one page for all
        return WAY_BYPASS
    return WAY_HOP if judge(c, h, p, out) == WAY_HOP or not is_safe(h) else WAY_BYPASS


# -- answers -------------------------------------------------------------------------------

cdef char* put_page(char* out, Exchange* ex, const ReadyPage* page, int64_t now_ms) noexcept nogil:
    out = put(out, page.before, page.before_len)
    out = put_number(put(out, b"Age: ", 5), (now_ms - page.born_ms) // 1000)
    out = put_number(put(out, b"\r\nCache-Status: wsgistack; hit; ttl=", 36), (page.expires_ms - now_ms) // 1000)
    out = put(put(out, b"\r\n", 2), page.after, page.after_len)
    out = put(out, buf_data(&ex.told), buf_len(&ex.told)) if buf_len(&ex.told) else out
    if not ex.client_keep:
        out = put(out, b"Connection: close\r\n", 19)
    elif ex.client_minor == 0:
        out = put(out, b"Connection: keep-alive\r\n", 24)
    out = put(out, b"\r\n", 2)
    return put(out, page.body, page.body_len) if ex.method_id == M_GET else out


cdef int answer_ready(Client* c, const Head* h, const char* p, const Claimed* asked) noexcept nogil:
    cdef Core* core = c.ep.core
    cdef Exchange* ex = c.ex
    cdef ReadyPage page
    cdef char key[READY_KEY]
    cdef int64_t now_ms = <int64_t>core.epoch_ms
    cdef uint32_t n = ready_make_key(key, c.service.slot | c.ex.bucket << 8, asked.https, p + h.host, h.host_len, p + h.target, h.target_len,
                                     asked.encoding, asked.encoding_len)
    if n == 0 or not ready_find(core.ready, key, n, &page) or now_ms >= page.expires_ms or now_ms < page.born_ms:
        return 0
    if buf_reserve(&ex.down, page.before_len + page.after_len + page.body_len + buf_len(&ex.told) + ROOM) != 0:
        return 0
    ex.down.end = <uint32_t>(put_page(buf_tail(&ex.down), ex, &page, now_ms) - ex.down.p)
    if not ready_holds(core.ready, &page):
        buf_release(&ex.down)
        return 0
    ex.own = 1
    ex.status = <uint16_t>page.status
    ex.res_state = RES_DONE
    ex.started = 1
    ex.own_body = page.body_len if ex.method_id == M_GET else 0
    return 1


cdef void tell_bypass(Exchange* ex, const char* why, const char* name, uint32_t n) noexcept nogil:
    # RFC 9211 2.2; without memory for it nothing is told.
    cdef char* out
    cdef uint32_t i
    if buf_reserve(&ex.told, ROOM) != 0:
        return
    out = put(buf_tail(&ex.told), b"Cache-Status: wsgistack; fwd=bypass; detail=", 44)
    out = put(out, why, <uint32_t>strlen(why))
    for i in range(n if n < LONGEST_DETAIL else LONGEST_DETAIL):
        # Of fields the names are told in lower case, of cookies as they are.
        out[0] = <char>lower(<uint8_t>name[i]) if why[0] == c"f" else name[i]
        out += 1
    ex.told.end = <uint32_t>(put(out, b"\r\n", 2) - ex.told.p)


cdef void pages_tell_fallback(Exchange* ex) noexcept nogil:
    tell_bypass(ex, b"keeper", NULL, 0)


cdef inline int is_keeper_held(const Core* core) noexcept nogil:
    return core.board.holds[KEEPER_ROW].hold_until_ms > core.now_ms


cdef int pages_answer(Client* c, const Head* h, const char* p) noexcept nogil:
    cdef Claimed asked
    cdef Exchange* ex = c.ex
    ex.way = <uint8_t>way_of(c, h, p, &asked)
    if ex.way == WAY_BYPASS:
        service_counts(c).cache_bypasses += 1
        tell_bypass(ex, asked.why, asked.name, asked.name_len)
        return 0
    if asked.is_ready and c.ep.core.ready != NULL and answer_ready(c, h, p, &asked):
        ex.way = WAY_HIT
        service_counts(c).cache_hits += 1
        return 1
    if is_keeper_held(c.ep.core):    # it failed a moment ago
        ex.way = WAY_FALLBACK
        service_counts(c).cache_fallbacks += 1
        pages_tell_fallback(ex)
    return 0
