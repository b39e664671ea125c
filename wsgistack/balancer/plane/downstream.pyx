"""Connections of clients.

    head <-> busy (an exchange, see relay.pyx) -> linger -> closed

A connection closes in two steps: no more from us, then read and drop until the client has
closed too (at most LINGER_MS), or the reset that answers unread bytes would destroy the last
response on its way (RFC 9112 9.6).
"""

from libc.errno cimport EAGAIN
from libc.stdint cimport uint32_t, uint64_t

from wsgistack.balancer.plane.access_log cimport log_begin
from wsgistack.balancer.plane.board cimport LATENCY_BUCKETS
from wsgistack.balancer.plane.buf cimport buf_append, buf_consume, buf_data, buf_len, buf_release
from wsgistack.balancer.plane.core cimport (
    CLIENT_BUSY,
    CLIENT_HEAD,
    CLIENT_LINGER,
    KIND_CLIENT,
    Client,
    Conn,
    Core,
    Service,
    client_counts,
    endpoint_bury,
    service_unref,
)
from wsgistack.balancer.plane.events cimport event_refused
from wsgistack.balancer.plane.exchange cimport (
    RES_HEAD,
    RES_TUNNEL,
    WHY_BODY_TIMEOUT,
    WHY_BODY_TOO_SLOW,
    WHY_CLIENT_GONE,
    WHY_HEADER_TIMEOUT,
    WHY_NO_MEMORY,
    WHY_NONE,
    WHY_QUEUE_TIMEOUT,
    WHY_REQUEST_TIMEOUT,
    WHY_TUNNEL_TIMEOUT,
    WHY_WIRE,
    WHY_WRITE_TIMEOUT,
    Exchange,
    ex_take,
    exchange_new,
)
from wsgistack.balancer.plane.forward cimport ID_BYTES, forward_begin, forward_head
from wsgistack.balancer.plane.front cimport front_answers
from wsgistack.balancer.plane.net cimport EV_ERR, EV_HUP, EV_IN, EV_OUT, EV_RDHUP
from wsgistack.balancer.plane.own_answer cimport ex_answer
from wsgistack.balancer.plane.receive cimport client_read
from wsgistack.balancer.plane.relay cimport (
    PUMP_ABORT,
    PUMP_AGAIN,
    PUMP_CLOSE,
    PUMP_DONE,
    PUMP_WAIT,
    relay_conn_failed,
    relay_conn_ready,
    relay_drop,
    relay_fail,
    relay_pump,
)
from wsgistack.balancer.plane.timers cimport timer_at_most, timer_cancel
from wsgistack.balancer.plane.wire cimport RequestRewrite, fault_status, parse_request_head

cdef enum:
    LINGER_MS = 2000             # nginx lingers 5 s between reads, Apache 2 s
    LINGER_BYTES = 1048576
    RETIRE_MS = 1000
    RATE_WINDOW_MS = 10000
    HEAD_READ = 4096
    MAX_STEPS = 16


# -- closing -------------------------------------------------------------------------------

cdef void down_close(Client* c, int reset) noexcept nogil:
    cdef Core* core = c.ep.core
    if c.ep.dead:
        return
    relay_drop(c)
    timer_cancel(&core.wheel, &c.timer)
    buf_release(&c.inp)
    client_counts(c).client_connections -= 1
    if c.prev != NULL:
        c.prev.next = c.next
    else:
        core.clients = c.next
    if c.next != NULL:
        c.next.prev = c.prev
    core.n_clients -= 1
    if reset:
        core.net.abort(c.ep.fd)
    else:
        core.net.close(c.ep.fd)
    c.ep.fd = -1
    service_unref(c.service)
    endpoint_bury(&c.ep)


cdef void begin_linger(Client* c) noexcept nogil:
    if c.eof:
        down_close(c, 0)
        return
    c.state = CLIENT_LINGER
    c.since_ms = c.ep.core.now_ms
    c.mark_bytes = 0
    buf_release(&c.inp)
    c.ep.core.net.finish(c.ep.fd)
    timer_at_most(&c.ep.core.wheel, &c.timer, c.since_ms + LINGER_MS)
    linger(c)


cdef void linger(Client* c) noexcept nogil:
    cdef ssize_t r
    while c.ep.readable and not c.ep.dead:
        r = client_read(c, HEAD_READ)
        if r > 0:
            c.mark_bytes += r
            buf_release(&c.inp)
        if r == -EAGAIN:
            return
        if r <= 0 or c.mark_bytes > LINGER_BYTES:
            down_close(c, 0)
            return


# -- requests ------------------------------------------------------------------------------

cdef Exchange* new_exchange(Client* c) noexcept nogil:
    cdef Exchange* ex = exchange_new()
    if ex == NULL:
        return NULL
    ex.client = c
    ex.inner = c.inner
    ex.began_us = c.ep.core.now_us
    c.ex = ex
    ex.head_ms = c.since_ms
    c.state = CLIENT_BUSY
    c.requests += 1
    client_counts(c).requests += 1
    client_counts(c).in_flight += 1
    return ex


cdef int refuse_head(Client* c, int fault) noexcept nogil:
    # After a fault nothing more of this connection is parsed (RFC 9112 9.6).
    cdef Exchange* ex = new_exchange(c)
    if ex == NULL:
        return -1
    ex.client_minor = 1
    ex.fault = fault
    if c.ep.core.log.format and not c.inner:
        log_begin(c, NULL, NULL, NULL)
    ex_answer(ex, fault_status(fault), WHY_WIRE, 0, c.service.retry_after, c.service.server_tokens)
    client_counts(c).refused += 1
    event_refused(c, ex.status)
    return 1


cdef int begin_exchange(Client* c) noexcept nogil:
    cdef RequestRewrite r
    cdef Service* s = c.service
    cdef Core* core = c.ep.core
    cdef char request_id[ID_BYTES]
    cdef int why
    cdef Exchange* ex = new_exchange(c)
    if ex == NULL:
        return -1
    forward_begin(c, &core.head, buf_data(&c.inp), &r, request_id)
    ex.max_body = s.max_chunked if core.head.chunked else s.max_body
    if core.log.format and not c.inner:
        log_begin(c, &core.head, buf_data(&c.inp), &r)
    why = ex_take(ex, &core.head)
    if not s.persist_client or s.closing or core.draining:
        ex.client_keep = 0
    c.last_in_ms = core.now_ms
    c.last_out_ms = core.now_ms
    c.mark_ms = 0
    if front_answers(c, &core.head, buf_data(&c.inp)):
        return 1
    why = why or forward_head(c, &core.head, buf_data(&c.inp), &r)
    if why != WHY_NONE:
        relay_fail(c, 413 if why != WHY_NO_MEMORY else 503, why)
        return 1
    if ex.send_continue and buf_len(&c.inp) == core.head.size:
        buf_append(&ex.down, b"HTTP/1.1 100 Continue\r\n\r\n", 25)
    return 1


cdef int read_head(Client* c) noexcept nogil:
    # 1: an exchange began, 0: more is needed, -1: the connection is done.
    cdef Core* core = c.ep.core
    cdef Service* s = c.service
    cdef ssize_t n
    cdef int r
    while True:
        if buf_len(&c.inp):
            core.head.max_bytes = s.max_header_bytes
            core.head.max_fields = s.max_headers
            core.head.max_target = s.max_uri
            core.head.scan = c.scan
            r = parse_request_head(buf_data(&c.inp), buf_len(&c.inp), &core.head)
            c.scan = core.head.scan
            if r:
                c.scan = 0
            if r < 0:
                return refuse_head(c, -r)
            if r > 0:
                r = begin_exchange(c)
                buf_consume(&c.inp, core.head.size + (0 if r < 0 else c.ex.skip))
                return r
        if c.eof:
            return -1
        if not c.ep.readable:
            return 0
        n = buf_len(&c.inp)
        if n == 0:
            c.since_ms = core.now_ms
            timer_at_most(&core.wheel, &c.timer, core.now_ms + s.client_header_ms)
        n = client_read(c, HEAD_READ)
        if n < 0 and n != -EAGAIN:
            return -1
        if n <= 0 and buf_len(&c.inp) == 0 and not c.eof:
            return 0


cdef void account(Client* c, Exchange* ex) noexcept nogil:
    cdef uint64_t us = c.ep.core.now_us - ex.began_us
    cdef int bucket = 0
    if 100 <= ex.status < 600:
        client_counts(c).responses[ex.status // 100] += 1
    client_counts(c).latency_us += us
    # Two buckets an octave: 2**(i/2) microseconds.
    while us >= 2 and bucket < LATENCY_BUCKETS - 2:
        us >>= 1
        bucket += 2
    client_counts(c).latency[bucket] += 1


cdef void finish_exchange(Client* c) noexcept nogil:
    cdef int keep = c.ex.client_keep
    account(c, c.ex)
    relay_drop(c)
    if not keep:
        begin_linger(c)
        return
    c.state = CLIENT_HEAD
    c.since_ms = c.ep.core.now_ms
    timer_at_most(&c.ep.core.wheel, &c.timer, c.since_ms + idle_ms(c))


cdef void do_again(Client* c) noexcept nogil:
    if not c.again:
        c.again = 1
        c.next_again = c.ep.core.again
        c.ep.core.again = c


cdef void down_step(Client* c) noexcept nogil:
    cdef int i, r
    if c.state == CLIENT_LINGER:
        linger(c)
        return
    for i in range(MAX_STEPS):
        if c.state == CLIENT_HEAD:
            r = read_head(c)
            if r == 0:
                return
            if r < 0:
                down_close(c, 0)
                return
        r = relay_pump(c)
        if r == PUMP_DONE:
            finish_exchange(c)
            if c.ep.dead or c.state == CLIENT_LINGER:
                return
            continue
        if r == PUMP_WAIT:
            arm(c)
        elif r == PUMP_AGAIN:
            do_again(c)
        else:
            account(c, c.ex)
            down_close(c, r == PUMP_ABORT)
        return
    do_again(c)                  # a long pipeline lets others have their turn


cdef void down_event(Client* c, unsigned int events) noexcept nogil:
    if events & (EV_IN | EV_RDHUP):
        c.ep.readable = 1
    if events & EV_RDHUP:
        c.ep.rdhup = 1
    if events & EV_OUT:
        c.ep.writable = 1
    if events & EV_HUP and c.ex != NULL and c.ex.res_state == RES_TUNNEL and not events & EV_ERR:
        c.ep.readable = 1        # both sides said their end, but its last bytes are still to be read
    elif events & (EV_ERR | EV_HUP):
        # A reset: whatever the node is still doing for it is in vain.
        down_close(c, 0)
        return
    if events & EV_RDHUP and c.ex != NULL and (c.ex.queued or c.ex.delayed.place != NULL) and c.ex.req_done:
        # Gone while it waited, as nginx and HAProxy's abortonclose see it: no node works for nobody.
        c.ex.why = WHY_CLIENT_GONE
        event_refused(c, 0)
        account(c, c.ex)
        down_close(c, 0)
        return
    down_step(c)


# -- deadlines -----------------------------------------------------------------------------

cdef inline int is_retired(Client* c) noexcept nogil:
    return c.service.closing or c.ep.core.draining


cdef inline uint32_t idle_ms(Client* c) noexcept nogil:
    cdef uint32_t ms = c.service.client_idle_ms
    return RETIRE_MS if is_retired(c) and ms > RETIRE_MS else ms


cdef inline int awaits_body(Client* c) noexcept nogil:
    return not c.ex.own and not c.ex.req_done and c.ex.res_state == RES_HEAD and not c.ep.readable


cdef inline int awaits_writing(Client* c) noexcept nogil:
    return not c.ep.writable and (buf_len(&c.ex.down) > 0 or c.relay_down != NULL)


cdef uint64_t later(uint64_t a, uint64_t b) noexcept nogil:
    return a if a > b else b


cdef uint64_t deadline(Client* c, int* why) noexcept nogil:
    # The earliest of the deadlines that hold in this state, and what it means.
    cdef Service* s = c.service
    cdef Exchange* ex = c.ex
    cdef uint64_t at, t
    if c.state == CLIENT_LINGER:
        why[0] = WHY_NONE
        return c.since_ms + LINGER_MS
    if c.state == CLIENT_HEAD:
        if buf_len(&c.inp) or (c.requests == 0 and not is_retired(c)):
            why[0] = WHY_HEADER_TIMEOUT
            return c.since_ms + s.client_header_ms
        why[0] = WHY_NONE
        return c.since_ms + idle_ms(c)
    if ex.res_state == RES_TUNNEL:
        why[0] = WHY_TUNNEL_TIMEOUT
        at = later(c.last_in_ms, c.last_out_ms)
        return (later(at, (<Conn*>ex.conn).last_ms) if ex.conn != NULL else at) + s.tunnel_ms
    why[0] = WHY_REQUEST_TIMEOUT
    at = ex.began_us // 1000 + s.request_ms if s.request_ms else c.ep.core.now_ms + 60000
    if ex.retry_at_ms and ex.retry_at_ms < at:
        at = ex.retry_at_ms      # not a deadline: see down_timer
        why[0] = WHY_NONE
    if ex.lone and ex.conn != NULL and ex.lone_until_ms < at:
        at = ex.lone_until_ms    # nor is this
        why[0] = WHY_NONE
    if ex.queued and ex.queue_until_ms < at:
        at = ex.queue_until_ms
        why[0] = WHY_QUEUE_TIMEOUT
    if awaits_body(c):
        t = c.last_in_ms + s.client_body_ms
        if t < at:
            at = t
            why[0] = WHY_BODY_TIMEOUT
        if s.client_body_min_rate and c.mark_ms and c.mark_ms + RATE_WINDOW_MS < at:
            at = c.mark_ms + RATE_WINDOW_MS
            why[0] = WHY_BODY_TOO_SLOW
    if awaits_writing(c) and c.last_out_ms + s.client_write_ms < at:
        at = c.last_out_ms + s.client_write_ms
        why[0] = WHY_WRITE_TIMEOUT
    return at


cdef void arm(Client* c) noexcept nogil:
    cdef int why
    if awaits_body(c) and c.mark_ms == 0:
        c.mark_ms = c.ep.core.now_ms
        c.mark_bytes = c.ex.req_body
    timer_at_most(&c.ep.core.wheel, &c.timer, deadline(c, &why))


cdef int too_slow(Client* c) noexcept nogil:
    # The window of client_body_min_rate is over: was enough received in it?
    cdef uint64_t got = c.ex.req_body - c.mark_bytes
    c.mark_ms = c.ep.core.now_ms
    c.mark_bytes = c.ex.req_body
    return got * 1000 < <uint64_t>c.service.client_body_min_rate * RATE_WINDOW_MS


cdef void expire(Client* c, int why) noexcept nogil:
    if c.state == CLIENT_LINGER or (c.state == CLIENT_HEAD and buf_len(&c.inp) == 0):
        if c.state == CLIENT_HEAD:
            begin_linger(c)      # an idle connection ends with a FIN, not with a reset
        else:
            down_close(c, 0)
        return
    if c.state == CLIENT_HEAD:
        if new_exchange(c) == NULL:
            down_close(c, 0)
            return
        c.ex.client_minor = 1
        if c.ep.core.log.format and not c.inner:
            log_begin(c, NULL, NULL, NULL)
        relay_fail(c, 408, why)
    elif why == WHY_WRITE_TIMEOUT or why == WHY_TUNNEL_TIMEOUT:
        c.ex.why = why
        event_refused(c, 0)
        account(c, c.ex)
        down_close(c, 1)
        return
    elif why == WHY_QUEUE_TIMEOUT:
        relay_fail(c, 503, why)
    elif why == WHY_REQUEST_TIMEOUT:
        relay_fail(c, 504 if c.ex.req_done else 408, why)
    else:
        relay_fail(c, 408, why)
    down_step(c)


cdef void down_timer(Client* c) noexcept nogil:
    cdef int why = WHY_NONE
    cdef uint64_t at
    if c.ep.dead:
        return
    at = deadline(c, &why)
    if at <= c.ep.core.now_ms:
        if c.state == CLIENT_BUSY and why == WHY_NONE:
            down_step(c)
            return
        if why != WHY_BODY_TOO_SLOW or too_slow(c):
            expire(c, why)
            return
        at = deadline(c, &why)
    timer_at_most(&c.ep.core.wheel, &c.timer, at)


cdef void down_retire(Core* core, Service* service) noexcept nogil:
    cdef Client* c = core.clients
    while c != NULL:
        if (service == NULL or c.service == service) and c.state == CLIENT_HEAD and buf_len(&c.inp) == 0:
            c.since_ms = core.now_ms
            timer_at_most(&core.wheel, &c.timer, core.now_ms + RETIRE_MS)
        c = c.next


# -- what upstream tells -------------------------------------------------------------------

cdef void on_conn_ready(Conn* conn) noexcept nogil:
    relay_conn_ready(conn.client)
    down_step(conn.client)


cdef void on_conn_failed(Client* c, int phase, int why, int error) noexcept nogil:
    relay_conn_failed(c, phase, why, error)
    down_step(c)


cdef void on_conn_event(Conn* conn) noexcept nogil:
    down_step(conn.client)


cdef void down_set_callbacks(Core* core) noexcept nogil:
    core.conn_ready = on_conn_ready
    core.conn_failed = on_conn_failed
    core.conn_event = on_conn_event
    core.client_step = down_step
