"""What clients are told of their limits: the fields of those who pass, and the answer to the others.

The twin of ratelimit/fields.py (draft-ietf-httpapi-ratelimit-headers-10) and answers.py: the same
status, fields and bodies, from texts that were made when the limit was set.
"""

from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t
from libc.time cimport gmtime_r, strftime, time_t, tm

from wsgistack.balancer.plane.accepts cimport prefers_html
from wsgistack.balancer.plane.buf cimport buf_data, buf_len, buf_reserve
from wsgistack.balancer.plane.configure cimport own_text
from wsgistack.balancer.plane.core cimport Client
from wsgistack.balancer.plane.exchange cimport RES_DONE, WHY_BANNED, WHY_DENIED, WHY_RATE_LIMITED, Exchange
from wsgistack.balancer.plane.gates cimport Claim, Claims, GateRate, Text
from wsgistack.balancer.plane.limit_kernels cimport LIMIT_BAN, LIMIT_NEVER, limit_quota
from wsgistack.balancer.plane.octets cimport put, put_number
from wsgistack.balancer.plane.wire cimport BODY_LENGTH, M_HEAD, Head

from wsgistack.ratelimit.answers import make_denial

cdef enum:
    SECOND_US = 1000000
    HEAD_BYTES = 512             # of a refusal, besides what its length is known of
    ITEM_BYTES = 64              # of RateLimit, besides its name

cdef char date_line[40]          # "Date: ...", as long as the second lasts
cdef uint32_t date_len = 0
cdef uint64_t date_second = 0


cdef inline int64_t seconds(int64_t us) noexcept nogil:
    return (us + SECOND_US - 1) // SECOND_US


cdef inline int tells(const Claim* claim) noexcept nogil:
    return claim.limit.tells and claim.rate.rate.kind != LIMIT_BAN


cdef uint32_t told_bytes(const Claims* all) noexcept nogil:
    # Room enough for both fields; 0 if nobody tells anything.
    cdef uint32_t i, n = 0
    for i in range(all.n):
        if tells(&all.claims[i]):
            n += all.claims[i].rate.policy.n + all.claims[i].rate.prefix.n + ITEM_BYTES
    return n + ITEM_BYTES if n else 0


cdef char* put_fields(char* out, const Claims* all, int64_t now) noexcept nogil:
    cdef const Claim* claim
    cdef int64_t more_us = 0
    cdef uint32_t i
    cdef int first = 1
    out = put(out, b"RateLimit-Policy: ", 18)
    for i in range(all.n):
        claim = &all.claims[i]
        if tells(claim):
            out = put(out, b", ", 0 if first else 2)
            out = put(out, claim.rate.policy.p, claim.rate.policy.n)
            first = 0
    out = put(out, b"\r\nRateLimit: ", 13)
    first = 1
    for i in range(all.n):
        claim = &all.claims[i]
        if tells(claim):
            out = put(out, b", ", 0 if first else 2)
            out = put(out, claim.rate.prefix.p, claim.rate.prefix.n)
            out = put_number(out, limit_quota(&claim.rate.rate, &claim.state, now, &more_us))
            if more_us:
                out = put_number(put(out, b";t=", 3), seconds(more_us))
            first = 0
    return put(out, b"\r\n", 2)


cdef void gate_tell(Exchange* ex, const Claims* all, uint64_t now_us) noexcept nogil:
    cdef uint32_t n = told_bytes(all)
    if n and buf_reserve(&ex.told, n) == 0:
        ex.told.end = <uint32_t>(put_fields(buf_data(&ex.told), all, <int64_t>now_us) - ex.told.p)


# -- refusals ------------------------------------------------------------------------------

cdef void note_date(uint64_t second) noexcept nogil:
    global date_len, date_second
    cdef time_t now = <time_t>second
    cdef tm parts
    if second != date_second:
        gmtime_r(&now, &parts)
        date_len = <uint32_t>strftime(date_line, sizeof(date_line), b"Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &parts)
        date_second = second


cdef char* put_head(char* out, Client* c, const char* status, uint32_t n, int html, uint32_t size) noexcept nogil:
    out = put(out, status, n)
    out = put(out, date_line, date_len)
    if c.service.server_tokens:
        out = put(out, b"Server: wsgistack\r\n", 19)
    if html:
        out = put(out, b"Content-Type: text/html; charset=utf-8\r\n", 40)
    else:
        out = put(out, b"Content-Type: application/problem+json\r\n", 40)
    out = put_number(put(out, b"Content-Length: ", 16), size)
    return put(out, b"\r\nCache-Control: no-store\r\nVary: Accept\r\n", 41)   # RFC 6585 4


cdef char* put_quota(char* out, Client* c, const Claims* all) noexcept nogil:
    if all.wait_us != LIMIT_NEVER:
        out = put_number(put(out, b"Retry-After: ", 13), seconds(all.wait_us))
        out = put(out, b"\r\n", 2)
    if told_bytes(all):
        out = put_fields(out, all, <int64_t>c.ep.core.now_us)
    return out


cdef void end_answer(Client* c, char* out, const char* body, uint32_t size) noexcept nogil:
    cdef Exchange* ex = c.ex
    if not ex.client_keep:
        out = put(out, b"Connection: close\r\n", 19)
    elif ex.client_minor == 0:
        out = put(out, b"Connection: keep-alive\r\n", 24)
    out = put(out, b"\r\n", 2)
    if ex.method_id != M_HEAD:
        out = put(out, body, size)
        ex.own_body = size
    ex.down.end = <uint32_t>(out - ex.down.p)


cdef char* put_page(char* out, const GateRate* rate, int64_t wait_us) noexcept nogil:
    out = put(out, rate.page.p, rate.page.n)
    if wait_us != LIMIT_NEVER:
        out = put_number(put(out, b" Please try again in ", 21), seconds(wait_us))
        out = put(out, b" s.", 3)
    return put(out, rate.page_end.p, rate.page_end.n)


cdef void keep_if_safe(Client* c) noexcept nogil:
    # Another request may follow where it is sure to begin: behind a body that is here as a whole.
    cdef Exchange* ex = c.ex
    cdef uint64_t here = buf_len(&c.inp) - c.ep.core.head.size
    if ex.req_done:
        return
    if ex.req_framing == BODY_LENGTH and ex.req_left <= here:
        ex.skip = <uint32_t>ex.req_left
        ex.req_done = 1
    else:
        ex.client_keep = 0


cdef void begin_answer(Client* c, int why, uint16_t status) noexcept nogil:
    cdef Exchange* ex = c.ex
    ex.own = 1
    ex.why = why
    ex.status = status
    ex.res_state = RES_DONE
    ex.started = 1
    c.ep.core.board.mine.services[c.service.slot].refused += 1
    keep_if_safe(c)
    note_date(c.ep.core.epoch_s)


cdef void gate_refuse(Client* c, const Claims* all, const Head* h, const char* p) noexcept nogil:
    cdef const GateRate* rate = all.claims[all.refused].rate
    cdef int html = prefers_html(h, p)
    cdef char* out
    cdef char page[512]
    cdef const char* body = rate.problem.p
    cdef uint32_t size = rate.problem.n
    begin_answer(c, WHY_BANNED if rate.rate.kind == LIMIT_BAN else WHY_RATE_LIMITED, rate.code)
    if html:
        body = page
        size = <uint32_t>(put_page(page, rate, all.wait_us) - page)
    if buf_reserve(&c.ex.down, HEAD_BYTES + rate.status.n + told_bytes(all) + size) != 0:
        c.ex.client_keep = 0
        return
    out = put_head(buf_data(&c.ex.down), c, rate.status.p, rate.status.n, html, size)
    end_answer(c, put_quota(out, c, all), body, size)


# -- who is on the deny list ---------------------------------------------------------------

cdef Text denied_problem, denied_page


cdef int fill_denials() except -1:
    for accept, text in (("application/json", <size_t>&denied_problem), ("text/html", <size_t>&denied_page)):
        _, _, body = make_denial(accept)
        (<Text*><size_t>text).p = own_text(body)
        (<Text*><size_t>text).n = len(body)
    return 0


fill_denials()


cdef void gate_deny(Client* c, const Head* h, const char* p) noexcept nogil:
    cdef int html = prefers_html(h, p)
    cdef const Text* body = &denied_page if html else &denied_problem
    begin_answer(c, WHY_DENIED, 403)
    if buf_reserve(&c.ex.down, HEAD_BYTES + body.n) != 0:
        c.ex.client_keep = 0
        return
    end_answer(c, put_head(buf_data(&c.ex.down), c, b"HTTP/1.1 403 Forbidden\r\n", 24, html, body.n), body.p, body.n)
