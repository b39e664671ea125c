"""One proxied request as a sans-I/O state machine.

The driver (downstream.pyx) feeds it what the client and the node sent and writes out what
gathers in `up` and `down`; the exchange itself knows no descriptor, clock or setting table.
Each side is re-serialised: no byte of framing passes from one side to the other.

    request   head -> body (length | chunked) -> done
    response  head (-> interim head)* -> body (length | chunked | close) -> done | tunnel
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from wsgistack.balancer.plane.buf cimport Buf, buf_append, buf_consume, buf_data, buf_len, buf_release, buf_reserve, buf_tail
from wsgistack.balancer.plane.cookies cimport drop_cookie_set, find_cookie_set
from wsgistack.balancer.plane.response_rules cimport is_lone, is_watched, may_trail
from wsgistack.balancer.plane.wire cimport (
    BODY_AS_TOLD,
    BODY_CHUNKED,
    BODY_CLOSE,
    BODY_LENGTH,
    BODY_NONE,
    CHUNK_DATA,
    CHUNK_FAULT,
    CHUNK_MORE,
    F_SET_COOKIE,
    FAULT_CHUNK,
    HEAD_RESERVE,
    M_DELETE,
    M_GET,
    M_HEAD,
    M_OPTIONS,
    M_PUT,
    M_TRACE,
    Chunked,
    Head,
    RequestRewrite,
    ResponseRewrite,
    chunk_next,
    parse_response_head,
    parse_trailers,
    request_room,
    write_chunk_size,
    write_request_head,
    write_response_head,
    write_trailers,
)

cdef enum:
    MAX_INTERIM = 16             # 1xx before the final response; HAProxy has no bound, h2 servers use about this
    MAX_TRAILERS = 8192
    MAX_RESPONSE_HEAD = 65536
    MAX_RESPONSE_FIELDS = 500
    FREE_KEPT = 1024

cdef Exchange* free_list = NULL
cdef int free_count = 0

cdef Exchange* exchange_new() noexcept nogil:
    global free_list, free_count
    cdef Exchange* ex = free_list
    if ex != NULL:
        free_list = <Exchange*>ex.client
        free_count -= 1
    else:
        ex = <Exchange*>malloc(sizeof(Exchange))
        if ex == NULL:
            return NULL
    memset(ex, 0, sizeof(Exchange))
    return ex


cdef void exchange_free(Exchange* ex) noexcept nogil:
    global free_list, free_count
    buf_release(&ex.up)
    buf_release(&ex.down)
    buf_release(&ex.log)
    buf_release(&ex.told)
    buf_release(&ex.raw)
    if free_count >= FREE_KEPT:
        free(ex)
        return
    ex.client = free_list
    free_list = ex
    free_count += 1


cdef int ex_take(Exchange* ex, const Head* h) noexcept nogil:
    ex.method_id = h.method_id
    ex.client_minor = h.minor
    ex.client_keep = h.keep_alive
    ex.websocket = h.upgrade_websocket
    ex.idempotent = (h.method_id == M_GET or h.method_id == M_HEAD or h.method_id == M_PUT
                     or h.method_id == M_DELETE or h.method_id == M_OPTIONS or h.method_id == M_TRACE)
    if h.chunked:
        ex.req_framing = BODY_CHUNKED
    elif h.content_length >= 0:
        ex.req_framing = BODY_LENGTH
        ex.req_left = <uint64_t>h.content_length
        if ex.max_body and ex.req_left > ex.max_body:
            return WHY_BODY_TOO_LARGE
    else:
        ex.req_framing = BODY_NONE
    ex.req_done = ex.req_framing == BODY_NONE or (ex.req_framing == BODY_LENGTH and ex.req_left == 0)
    # A body and an upgrade at once would leave it open which bytes belong to the tunnel.
    ex.websocket = ex.websocket and ex.req_done
    ex.send_continue = h.expect_continue and not ex.req_done and h.minor >= 1
    return WHY_NONE


cdef int ex_forward(Exchange* ex, const Head* h, const char* p, RequestRewrite* r) noexcept nogil:
    r.framing = ex.req_framing
    r.length = ex.req_left + ex.req_body         # some of it may have come: see forward.pyx
    r.websocket = ex.websocket
    if buf_reserve(&ex.up, <uint32_t>request_room(h, r)) != 0:
        return WHY_NO_MEMORY
    ex.up_head = <uint32_t>write_request_head(h, p, r, buf_tail(&ex.up))
    ex.up.end += ex.up_head
    return WHY_NONE


cdef int emit_chunk(Buf* out, const char* p, size_t n) noexcept nogil:
    if buf_reserve(out, <uint32_t>n + 24) != 0:
        return -1
    out.end += write_chunk_size(n, buf_tail(out))
    memcpy(buf_tail(out), p, n)
    out.end += n
    memcpy(buf_tail(out), b"\r\n", 2)
    out.end += 2
    return 0


cdef int emit(Buf* out, int framing, const char* p, size_t n) noexcept nogil:
    if n == 0:
        return 0
    if framing == BODY_CHUNKED:
        return emit_chunk(out, p, n)
    return buf_append(out, p, <uint32_t>n)


# Decode chunks from p[0:n] into `out` in the framing `framing`. *done: the trailer section is read too.
# Return the bytes used; *fault is a fault of wire, or -1 without memory.
cdef size_t relay_chunks(Chunked* c, uint8_t* trailers, Buf* out, int framing, Head* h,
                         const char* p, size_t n, uint64_t* body, int* done, int* fault) noexcept nogil:
    cdef size_t used = 0, step = 0, size = 0
    cdef const char* data = NULL
    cdef int what, r
    while not trailers[0]:
        what = chunk_next(c, p + used, n - used, &step, &data, &size)
        used += step
        if what == CHUNK_DATA:
            body[0] += size
            if emit(out, framing, data, size) != 0:
                fault[0] = -1
                return used
        elif what == CHUNK_MORE:
            return used
        elif what == CHUNK_FAULT:
            fault[0] = FAULT_CHUNK
            return used
        else:
            trailers[0] = 1
    h.max_bytes = MAX_TRAILERS
    h.max_fields = 64
    h.scan = 0
    r = parse_trailers(p + used, n - used, h)
    if r < 0:
        fault[0] = -r
    elif r > 0:
        if framing == BODY_CHUNKED:
            if buf_reserve(out, <uint32_t>r + 64) != 0:
                fault[0] = -1
                return used
            memcpy(buf_tail(out), b"0\r\n", 3)
            out.end += 3
            out.end += write_trailers(h, p + used, buf_tail(out))
        used += r
        done[0] = 1
    return used


cdef size_t ex_request_input(Exchange* ex, Head* scratch, const char* p, size_t n) noexcept nogil:
    cdef size_t used = 0
    cdef int done = 0, fault = 0
    if ex.res_state == RES_TUNNEL:
        if buf_append(&ex.up, p, <uint32_t>n) != 0:
            ex.why = WHY_NO_MEMORY
        return n
    if ex.req_done:
        return 0
    if ex.req_framing == BODY_LENGTH:
        used = n if n < ex.req_left else ex.req_left
        if buf_append(&ex.up, p, <uint32_t>used) != 0:
            ex.why = WHY_NO_MEMORY
            return used
        ex.req_left -= used
        ex.req_body += used
        ex.req_done = ex.req_left == 0
        return used
    used = relay_chunks(&ex.req_chunk, &ex.req_trailers, &ex.up, BODY_CHUNKED, scratch, p, n,
                        &ex.req_body, &done, &fault)
    ex.req_done = done
    if fault > 0:
        ex.why = WHY_WIRE
        ex.fault = fault
    elif fault < 0:
        ex.why = WHY_NO_MEMORY
    elif ex.max_body and ex.req_body > ex.max_body:
        ex.why = WHY_BODY_TOO_LARGE
    return used


cdef void write_head(Exchange* ex, const Head* h, const char* p, int framing, int keep, int websocket) noexcept nogil:
    cdef ResponseRewrite r
    r.client_minor = ex.client_minor
    r.keep_alive = keep
    r.websocket = websocket
    r.framing = framing
    r.length = <uint64_t>h.content_length if h.content_length >= 0 else 0
    r.insert = ex.insert
    r.insert_len = ex.insert_len if h.status >= 200 and not (ex.insert_if_set and not h.seen >> F_SET_COOKIE & 1) else 0
    r.told = buf_data(&ex.told)
    r.told_len = buf_len(&ex.told) if h.status >= 200 else 0
    if buf_reserve(&ex.down, h.size + r.told_len + HEAD_RESERVE) != 0:
        ex.why = WHY_NO_MEMORY
        return
    ex.down.end += write_response_head(h, p, &r, buf_tail(&ex.down))
    ex.started = 1


cdef void interim_head(Exchange* ex, const Head* h, const char* p) noexcept nogil:
    if h.status == 101:
        if not (ex.websocket and h.upgrade_websocket):
            ex.why = WHY_UNEXPECTED_UPGRADE
            return
        ex.status = 101
        ex.res_state = RES_TUNNEL
        ex.client_keep = 0
        ex.node_keep = 0
        write_head(ex, h, p, BODY_NONE, 1, 1)
        return
    ex.interim += 1
    if ex.interim > MAX_INTERIM:
        ex.why = WHY_TOO_MANY_INTERIM
    elif h.status != 100 and ex.client_minor >= 1:     # a 100 is ours to send: Expect was not passed on
        write_head(ex, h, p, BODY_NONE, 1, 0)


cdef void final_head(Exchange* ex, const Head* h, const char* p) noexcept nogil:
    ex.status = h.status
    if ex.learn != NULL:
        ex.learned = find_cookie_set(h, p, ex.learn, ex.learn_len, &ex.learned_len)
    if ex.method_id == M_HEAD or h.status == 204 or h.status == 304:
        ex.res_in = BODY_NONE
        ex.res_out = BODY_NONE if h.status == 204 else BODY_AS_TOLD
    elif h.chunked:
        ex.res_in = BODY_CHUNKED
        ex.res_out = BODY_CHUNKED if ex.client_minor >= 1 else BODY_CLOSE
    elif h.content_length >= 0:
        ex.res_in = BODY_LENGTH
        ex.res_out = BODY_LENGTH
        ex.res_left = <uint64_t>h.content_length
    else:
        ex.res_in = BODY_CLOSE
        ex.res_out = BODY_CHUNKED if ex.client_minor >= 1 else BODY_CLOSE
    ex.node_keep = h.keep_alive and ex.res_in != BODY_CLOSE and not may_trail(ex, h)
    # An answer before the request's end: the rest of the body is not waited for (RFC 9112 9.3).
    if ex.res_out == BODY_CLOSE or not ex.req_done:
        ex.client_keep = 0
    ex.res_state = RES_BODY
    if ex.res_in == BODY_NONE or (ex.res_in == BODY_LENGTH and ex.res_left == 0):
        ex.res_state = RES_DONE
    write_head(ex, h, p, ex.res_out, ex.client_keep, 0)


cdef size_t response_head(Exchange* ex, Head* h, const char* p, size_t n) noexcept nogil:
    cdef int r
    h.max_bytes = MAX_RESPONSE_HEAD
    h.max_fields = MAX_RESPONSE_FIELDS
    h.scan = ex.res_scan
    r = parse_response_head(p, n, h)
    ex.res_scan = h.scan
    if r == 0:
        return 0
    ex.res_scan = 0
    if r < 0:
        ex.why = WHY_BAD_RESPONSE
        ex.fault = -r
        return 0
    if is_watched(ex, h.status):
        ex.status = h.status
        ex.held = 1
        return 0
    ex.lone = is_lone(ex, h, n - <size_t>r)
    if ex.lone:
        return 0
    if h.status < 200:
        interim_head(ex, h, p)
    else:
        if ex.only_ours != NULL and h.seen >> F_SET_COOKIE & 1:
            drop_cookie_set(h, p, ex.only_ours, ex.only_ours_len)
        final_head(ex, h, p)
    return r


cdef size_t response_body(Exchange* ex, Head* h, const char* p, size_t n) noexcept nogil:
    cdef size_t used
    cdef int done = 0, fault = 0
    if ex.res_in == BODY_CHUNKED:
        used = relay_chunks(&ex.res_chunk, &ex.res_trailers, &ex.down, ex.res_out, h, p, n,
                            &ex.res_body, &done, &fault)
        if done:
            ex.res_state = RES_DONE
        if fault > 0:
            ex.why = WHY_BAD_RESPONSE
            ex.fault = fault
        elif fault < 0:
            ex.why = WHY_NO_MEMORY
        return used
    used = n
    if ex.res_in == BODY_LENGTH:
        used = n if n < ex.res_left else ex.res_left
        ex.res_left -= used
        if ex.res_left == 0:
            ex.res_state = RES_DONE
    ex.res_body += used
    if emit(&ex.down, ex.res_out, p, used) != 0:
        ex.why = WHY_NO_MEMORY
    return used


cdef size_t ex_response_input(Exchange* ex, Head* scratch, const char* p, size_t n) noexcept nogil:
    cdef size_t used = 0, step
    while used < n and ex.why == WHY_NONE:
        if ex.res_state == RES_HEAD:
            step = response_head(ex, scratch, p + used, n - used)
        elif ex.res_state == RES_BODY:
            step = response_body(ex, scratch, p + used, n - used)
        elif ex.res_state == RES_TUNNEL:
            step = n - used
            if buf_append(&ex.down, p + used, <uint32_t>step) != 0:
                ex.why = WHY_NO_MEMORY
        else:
            break
        if step == 0:
            break
        used += step
    return used


cdef void ex_response_eof(Exchange* ex) noexcept nogil:
    if ex.res_state == RES_BODY and ex.res_in == BODY_CLOSE:
        if ex.res_out == BODY_CHUNKED and buf_append(&ex.down, b"0\r\n\r\n", 5) != 0:
            ex.why = WHY_NO_MEMORY
            return
        ex.res_state = RES_DONE
    elif ex.res_state == RES_BODY:
        ex.why = WHY_RESPONSE_TRUNCATED
    elif ex.res_state == RES_HEAD:
        ex.why = WHY_RESPONSE_TRUNCATED if ex.lone else WHY_NODE_CLOSED


cdef void ex_rewind(Exchange* ex) noexcept nogil:
    ex.up_sent = 0
    ex.res_scan = 0
    ex.interim = 0
    ex.held = 0
    ex.lone = 0
    ex.lone_until_ms = 0
    ex.first_us = 0
    ex.status = 0
    ex.why = WHY_NONE
    ex.fault = 0


cdef void ex_let_pass(Exchange* ex) noexcept nogil:
    ex.held = 0
    ex.watch_error = 0
    ex.watched = NULL


cdef void ex_tried(Exchange* ex, void* node) noexcept nogil:
    ex.tried[ex.n_tried_ever % TRIED] = node
    ex.n_tried_ever += 1
    if ex.n_tried < TRIED:
        ex.n_tried += 1
