"""Between the two sides: one client's exchange, moved on as far as both allow.

Each event of either side ends in `relay_pump`, which reads, decides and writes until nothing
moves any more.  Back-pressure is the absence of reading: the request stops while `up` is
full, the response while `down` holds buffer_size bytes.
"""

from libc.errno cimport EAGAIN
from libc.stdint cimport int64_t, uint32_t, uint64_t

from wsgistack.balancer.plane.access_log cimport log_end
from wsgistack.balancer.plane.again cimport count_outcome, count_response, try_again
from wsgistack.balancer.plane.buf cimport buf_consume, buf_data, buf_len, buf_release, buf_reserve, buf_room, buf_tail
from wsgistack.balancer.plane.core cimport (
    CONN_BUSY,
    PHASE_RESPONSE,
    PHASE_TIMEOUT,
    Client,
    Conn,
    Core,
    Node,
    Service,
    Share,
    client_counts,
    node_unref,
    service_counts,
)
from wsgistack.balancer.plane.events cimport event_refused
from wsgistack.balancer.plane.exchange cimport (
    RES_BODY,
    RES_DONE,
    RES_HEAD,
    RES_TUNNEL,
    WHY_BAD_RESPONSE,
    WHY_BODY_TOO_LARGE,
    WHY_CONNECT_TIMEOUT,
    WHY_NO_MEMORY,
    WHY_NO_NODE,
    WHY_NO_POOL,
    WHY_NODE_CLOSED,
    WHY_NODE_TIMEOUT,
    WHY_NONE,
    WHY_POOL_OPEN,
    WHY_QUEUE_FULL,
    WHY_QUEUE_TIMEOUT,
    WHY_REQUEST_TRUNCATED,
    WHY_STATUS,
    WHY_WIRE,
    Exchange,
    ex_let_pass,
    ex_request_input,
    ex_response_eof,
    ex_response_input,
    exchange_free,
)
from wsgistack.balancer.plane.forward cimport forward_past_keeper
from wsgistack.balancer.plane.gate cimport gate_release
from wsgistack.balancer.plane.meter cimport meter_end
from wsgistack.balancer.plane.own_answer cimport ex_answer
from wsgistack.balancer.plane.page_rules cimport WAY_HOP
from wsgistack.balancer.plane.pick cimport pool_is_free
from wsgistack.balancer.plane.pipes cimport (
    SPLICE_OK,
    SPLICE_SINK_ERROR,
    SPLICE_SOURCE_END,
    relay_free,
    relay_new,
    relay_splice,
)
from wsgistack.balancer.plane.queues cimport queue_enter, queue_is_ahead, queue_is_over, queue_leave
from wsgistack.balancer.plane.receive cimport client_read
from wsgistack.balancer.plane.retry cimport (
    FAILED_CONNECT,
    FAILED_ERROR,
    FAILED_INVALID,
    FAILED_RESET,
    FAILED_STALE,
    FAILED_STATUS,
    FAILED_TIMEOUT,
    ON_RESET,
)
from wsgistack.balancer.plane.split cimport share_of, split_prepare
from wsgistack.balancer.plane.sticky cimport sticky_absorb, sticky_drop, sticky_prepare
from wsgistack.balancer.plane.throttle cimport throttle_release
from wsgistack.balancer.plane.timers cimport timer_at_most
from wsgistack.balancer.plane.upstream cimport (
    ACQUIRED_FULL,
    ACQUIRED_LATER,
    ACQUIRED_NONE,
    ACQUIRED_NOW,
    HOLD_MS,
    HOLD_NONE,
    SILENT_MS,
    conn_read,
    up_acquire,
    up_arm,
    up_failed,
    up_release,
)
from wsgistack.balancer.plane.wire cimport BODY_CHUNKED, BODY_CLOSE, BODY_LENGTH, M_HEAD, Head, fault_status

cdef enum:
    HEAD_READ = 4096             # first read of a request: most heads fit in one small buffer
    BODY_READ = 65536
    NODE_READ = 16384
    UP_LIMIT = 65536             # request bytes waiting for the node
    REPLAY_LIMIT = 262144        # an idempotent request up to this size can be sent again
    SPLICE_MIN = 65536           # below, a copy is cheaper than two more system calls
    MAX_ROUNDS = 16
    STALE_MS = 1000              # the end of an idle connection may be that long on its way
    LONE_MS = 100                # a head waits that long for the first byte of its body


cdef void release_conn(Client* c, int keep) noexcept nogil:
    if c.ex.conn != NULL:
        up_release(<Conn*>c.ex.conn, c.ex, keep)


cdef void relay_fail(Client* c, int status, int why) noexcept nogil:
    cdef Exchange* ex = c.ex
    queue_leave(c)
    release_conn(c, 0)
    if ex.started and (ex.res_state != RES_HEAD or buf_len(&ex.down)):
        ex.why = why
        c.cut = 1
    else:
        # The connection is kept only when the next request is sure to begin where this one ended.
        ex_answer(ex, status, why, ex.req_done and why != WHY_WIRE, c.service.retry_after, c.service.server_tokens)
    service_counts(c).refused += 1
    event_refused(c, status)


cdef void stop_waiting(Client* c) noexcept nogil:
    if c.ex != NULL and c.ex.wait_ms:
        c.ex.wait_ms = 0
        service_counts(c).waiting -= 1


cdef void relay_drop(Client* c) noexcept nogil:
    if c.ex == NULL:
        return
    stop_waiting(c)
    queue_leave(c)
    if buf_len(&c.ex.log):
        log_end(c)
    release_conn(c, 0)
    relay_free(c.relay_up)
    relay_free(c.relay_down)
    c.relay_up = NULL
    c.relay_down = NULL
    client_counts(c).in_flight -= 1
    if c.ex.n_metered:
        meter_end(c.ep.core, c.ex)
    if c.ex.delayed.place != NULL:
        throttle_release(c)
    if c.ex.n_leases:
        gate_release(c.ex)
    sticky_drop(c.ex)
    exchange_free(c.ex)
    c.ex = NULL


# -- the request's way ---------------------------------------------------------------------

cdef int request_fault(Client* c) noexcept nogil:
    cdef Exchange* ex = c.ex
    cdef int why = ex.why
    # A client's fault is never a node's: its connection is closed, since half a request is on it.
    if why == WHY_BODY_TOO_LARGE:
        relay_fail(c, 413, why)
    elif why == WHY_WIRE:
        relay_fail(c, fault_status(ex.fault), why)
    else:
        relay_fail(c, 503, why)
    return 1


cdef int client_ended(Client* c) noexcept nogil:
    # FIN within a request body: the message is incomplete and never will be (RFC 9112 8).
    cdef Exchange* ex = c.ex
    if ex.res_state == RES_TUNNEL:
        return 1
    relay_fail(c, 400, WHY_REQUEST_TRUNCATED)
    return 1


cdef int from_client(Client* c, Exchange* ex) noexcept nogil:
    cdef size_t used
    cdef ssize_t r
    cdef uint32_t limit = UP_LIMIT
    if ex.conn == NULL:
        limit += c.service.buffer_backend_connect
    if c.relay_up != NULL or buf_len(&ex.up) - ex.up_sent >= limit:
        c.mark_ms = 0
        return 0
    if buf_len(&c.inp):
        used = ex_request_input(ex, &c.ep.core.head, buf_data(&c.inp), buf_len(&c.inp))
        buf_consume(&c.inp, <uint32_t>used)
        if ex.why != WHY_NONE:
            return request_fault(c)
        if ex.req_done:
            ex.asked_us = c.ep.core.now_us
        if used or ex.req_done:
            return 1
    if not c.ep.readable or c.eof:
        return 0
    r = client_read(c, BODY_READ if ex.req_left > HEAD_READ else HEAD_READ)
    if r > 0:
        return 1
    if r == 0:
        return client_ended(c)
    if r != -EAGAIN:
        c.cut = 1
        return 1
    return 0


cdef void answer_no_node(Client* c) noexcept nogil:
    cdef int why = c.ex.last_why
    if c.service.pool == NULL:
        relay_fail(c, 503, WHY_NO_POOL)
    elif why == WHY_NONE or why == WHY_POOL_OPEN:
        relay_fail(c, 503, WHY_NO_NODE if why == WHY_NONE else why)
    elif why == WHY_CONNECT_TIMEOUT or why == WHY_NODE_TIMEOUT:
        relay_fail(c, 504, why)
    else:
        relay_fail(c, 502, why)


cdef int bucket_is_free(Core* core, const Service* s, const Exchange* ex) noexcept nogil:
    cdef const Share* share = share_of(s, ex)
    return share != NULL and pool_is_free(core, share.pool)


cdef int find_node(Client* c, Exchange* ex) noexcept nogil:
    cdef int r
    cdef Core* core = c.ep.core
    if ex.retry_at_ms:
        if ex.retry_at_ms > core.now_ms:
            return 0
        ex.retry_at_ms = 0
        if ex.delayed.place != NULL:
            throttle_release(c)
    # A slow upload waits here, not in a node: Perlbal's buffer_backend_connect.
    if not ex.req_done and ex.req_body < c.service.buffer_backend_connect:
        return 0
    if ex.queued:
        if not ex.turn:
            return 0
        ex.turn = 0
        if queue_is_over(core, ex):
            relay_fail(c, 503, WHY_QUEUE_TIMEOUT)
            return 1
        r = up_acquire(core, c, ex)
    elif (ex.way != WAY_HOP and c.service.pool != NULL and c.service.pool.capped and queue_is_ahead(core, c.service)
            and not bucket_is_free(core, c.service, ex)):
        r = ACQUIRED_FULL
    else:
        r = up_acquire(core, c, ex)
    if r == ACQUIRED_FULL:
        # It may have waited before: for the node that failed it.
        if not ex.queued and queue_is_over(core, ex):
            relay_fail(c, 503, WHY_QUEUE_TIMEOUT)
        elif not ex.queued and not queue_enter(c):
            relay_fail(c, 503, WHY_QUEUE_FULL)
        return ex.own
    queue_leave(c)
    if r == ACQUIRED_NOW:
        return 1
    if r == ACQUIRED_LATER:
        ex.wait_ms = core.now_ms
        service_counts(c).waiting += 1
        return 0
    if r == ACQUIRED_NONE and ex.way == WAY_HOP and forward_past_keeper(c):
        return 1                 # the service has no cache any more
    if r == ACQUIRED_NONE or not try_again(c, FAILED_CONNECT, ex.last_why, 0):
        answer_no_node(c)
    return 1


cdef void stop_upward(Client* c, Exchange* ex) noexcept nogil:
    # The node of a tunnel takes nothing any more. What waits for it would hold the tunnel open when both sides have
    # closed: the error that `send` met is not told again, and the node's end then reads as if it were in order.
    buf_release(&c.inp)
    buf_release(&ex.up)
    ex.up_sent = 0
    c.eof = 2


cdef int to_node(Client* c, Exchange* ex, Conn* conn) noexcept nogil:
    cdef uint32_t n = buf_len(&ex.up) - ex.up_sent
    cdef ssize_t r
    if n == 0 or not conn.ep.writable:
        return 0
    if ex.up_sent == 0 and not ex.committed:
        ex.tries += 1
        c.ep.core.board.mine.nodes[conn.node.slot].handed += 1
    r = c.ep.core.net.send(conn.ep.fd, buf_data(&ex.up) + ex.up_sent, n)
    if r < 0:
        conn.ep.writable = 0
        if r == -EAGAIN:
            up_arm(conn)
            return 0
        # It may have answered before it closed: what it said counts (an early 413 is not a 502).
        conn.ep.readable = 1
        if ex.res_state == RES_TUNNEL:
            stop_upward(c, ex)
        return 0
    c.ep.core.board.mine.nodes[conn.node.slot].bytes_out += r
    conn.last_ms = c.ep.core.now_ms
    ex.up_sent += <uint32_t>r
    if r < n:
        conn.ep.writable = 0
    if not ex.idempotent or ex.up.end - ex.up.start > REPLAY_LIMIT or ex.res_state == RES_TUNNEL:
        ex.committed = 1
    if ex.committed:
        buf_consume(&ex.up, ex.up_sent)
        ex.up_sent = 0
    up_arm(conn)
    return 1


cdef int splice_request(Client* c, Exchange* ex, Conn* conn) noexcept nogil:
    cdef int what = 0, error = 0
    cdef uint64_t moved
    if c.relay_up == NULL:
        if (ex.req_framing != BODY_LENGTH or ex.req_left < SPLICE_MIN or buf_len(&c.inp)
                or buf_len(&ex.up) > ex.up_sent or not c.ep.core.net.can_splice):
            return 0
        c.relay_up = relay_new()
        if c.relay_up == NULL:
            return 0
        ex.committed = 1
        buf_release(&ex.up)
        ex.up_sent = 0
    cdef uint64_t before = ex.req_left
    moved = relay_splice(c.ep.core, c.relay_up, &c.ep, &conn.ep, &ex.req_left, &what, &error)
    if ex.req_left != before:
        c.last_in_ms = c.ep.core.now_ms
        ex.req_body += before - ex.req_left
        client_counts(c).bytes_in += before - ex.req_left
    if moved:
        conn.last_ms = c.ep.core.now_ms
        c.ep.core.board.mine.nodes[conn.node.slot].bytes_out += moved
    if what == SPLICE_SINK_ERROR:
        conn.ep.readable = 1
        conn.ep.writable = 0
        return 0
    if what != SPLICE_OK:
        c.eof = 1
        return client_ended(c)
    if ex.req_left == 0 and c.relay_up.filled == 0:
        ex.req_done = 1
        ex.asked_us = c.ep.core.now_us
        relay_free(c.relay_up)
        c.relay_up = NULL
        up_arm(conn)
        return 1
    return moved > 0 or ex.req_left != before


# -- the response's way --------------------------------------------------------------------

cdef void response_done(Client* c, Exchange* ex, Conn* conn) noexcept nogil:
    cdef int keep = ex.node_keep and ex.req_done and buf_len(&ex.up) == ex.up_sent and c.relay_up == NULL
    count_response(c.ep.core, ex, conn)
    if keep and conn.ep.readable:
        # The last read filled its buffer: what may follow would be taken for the next answer.
        keep = c.ep.core.net.peek(conn.ep.fd) == -EAGAIN
        conn.ep.readable = 0
    release_conn(c, keep)


cdef int node_lost(Client* c, int phase, int why, int error) noexcept nogil:
    # The connection broke, ended or fell silent before the response was complete.
    cdef Exchange* ex = c.ex
    cdef Conn* conn = <Conn*>ex.conn
    cdef Node* node = conn.node
    cdef int failure = FAILED_RESET
    cdef int hold_ms = HOLD_NONE
    if ex.res_state == RES_HEAD:
        hold_ms = SILENT_MS if why == WHY_NODE_TIMEOUT else HOLD_MS if error else HOLD_NONE
    if why == WHY_NODE_TIMEOUT:
        failure = FAILED_TIMEOUT
    elif conn.reused and buf_len(&conn.inp) == 0 and c.ep.core.now_ms - conn.since_ms < STALE_MS:
        failure = FAILED_STALE
    node.refs += 1
    if not try_again(c, failure, why, 0):
        failure = FAILED_RESET
        relay_fail(c, 504 if why == WHY_NODE_TIMEOUT else 502, why)
    if failure != FAILED_STALE:
        up_failed(c.ep.core, node, c.service, phase, why, error, hold_ms)
    node_unref(node)
    return 1


# A final head that retry_on or enable_error_retries speaks of is here, unseen by the client.
cdef int held_response(Client* c, Exchange* ex, Conn* conn) noexcept nogil:
    cdef const Head* h = &c.ep.core.head
    cdef int failure = FAILED_ERROR if ex.status == 500 and ex.watch_error else FAILED_STATUS
    cdef int64_t body = -1 if h.chunked or ex.method_id == M_HEAD else h.content_length
    # A short answer that is here as a whole leaves its connection as good as new.
    cdef int whole = (h.keep_alive and body >= 0 and <int64_t>h.size + body == buf_len(&conn.inp)
                      and ex.req_done and buf_len(&ex.up) == ex.up_sent and not conn.ep.readable)
    if try_again(c, failure, WHY_STATUS, whole):
        return 1
    ex_let_pass(ex)
    return 0


# A head is worth waiting for its body as long as the request could be sent again without it.
cdef inline int may_wait(Client* c, const Exchange* ex) noexcept nogil:
    return (ex.idempotent and ex.req_done and not ex.committed and c.service.retry_on & ON_RESET != 0
            and (not ex.lone_until_ms or c.ep.core.now_ms < ex.lone_until_ms))


cdef void feed(Client* c, Exchange* ex, Conn* conn) noexcept nogil:
    cdef uint32_t used
    cdef int sticky = ex.sticky and ex.res_state == RES_HEAD
    if sticky:
        sticky_prepare(c, conn)
    ex.only_ours = NULL
    ex.may_wait = may_wait(c, ex)
    if c.service.split != NULL:
        split_prepare(c)
    used = <uint32_t>ex_response_input(ex, &c.ep.core.head, buf_data(&conn.inp), buf_len(&conn.inp))
    if sticky and ex.res_state != RES_HEAD:
        sticky_absorb(c, conn)
    buf_consume(&conn.inp, used)
    if ex.res_state == RES_HEAD and not ex.lone and not ex.held:
        return
    if not ex.first_us:
        ex.first_us = c.ep.core.now_us
    if ex.lone and not ex.lone_until_ms:
        ex.lone_until_ms = c.ep.core.now_ms + LONE_MS


cdef int splice_response(Client* c, Exchange* ex, Conn* conn) noexcept nogil:
    # Return -1 where this response does not move by splice.
    cdef int what = 0, error = 0
    cdef uint64_t left, before, moved
    if c.relay_down == NULL:
        if (ex.res_state != RES_BODY or ex.res_in == BODY_CHUNKED or ex.res_out == BODY_CHUNKED
                or buf_len(&ex.down) or buf_len(&conn.inp) or not c.ep.core.net.can_splice
                or (ex.res_in == BODY_LENGTH and ex.res_left < SPLICE_MIN)
                or (ex.res_in == BODY_CLOSE and ex.res_body < SPLICE_MIN)):
            return -1
        c.relay_down = relay_new()
        if c.relay_down == NULL:
            return -1
    left = ex.res_left if ex.res_in == BODY_LENGTH else <uint64_t>1 << 62
    before = left
    moved = relay_splice(c.ep.core, c.relay_down, &conn.ep, &c.ep, &left, &what, &error)
    if ex.res_in == BODY_LENGTH:
        ex.res_left = left
    ex.res_body += before - left
    if before != left:
        conn.last_ms = c.ep.core.now_ms
        c.ep.core.board.mine.nodes[conn.node.slot].bytes_in += before - left
    sent_to_client(c, moved)
    if what == SPLICE_SINK_ERROR:
        c.cut = 1
        return 1
    if ex.res_in == BODY_LENGTH and left == 0:
        ex.res_state = RES_DONE
    elif what == SPLICE_SOURCE_END:
        ex_response_eof(ex)
        ex.node_keep = 0
    elif what != SPLICE_OK:
        ex.why = WHY_NODE_CLOSED
    if ex.why != WHY_NONE:
        return node_lost(c, PHASE_RESPONSE, ex.why, error)
    if ex.res_state == RES_DONE:
        response_done(c, ex, conn)   # a slow client drains the pipe; the node is free
        return 1
    return moved > 0 or before != left


cdef int from_node(Client* c, Exchange* ex, Conn* conn) noexcept nogil:
    cdef ssize_t r
    cdef uint32_t want = NODE_READ
    cdef int began = ex.res_state != RES_HEAD
    if ex.res_state == RES_BODY:
        r = splice_response(c, ex, conn)
        if r >= 0:
            return <int>r
        if ex.res_left > NODE_READ or ex.res_in != BODY_LENGTH:
            want = BODY_READ
    r = -EAGAIN
    if conn.ep.readable and buf_len(&ex.down) < c.service.buffer_size:
        r = conn_read(conn, want)
        if r == -EAGAIN:
            conn.ep.readable = 0
    if r == -EAGAIN:
        if not ex.lone or c.ep.core.now_ms < ex.lone_until_ms:
            return 0
        r = buf_len(&conn.inp)   # no body so far: its head goes alone
    if r < 0:
        return node_lost(c, PHASE_RESPONSE, WHY_NODE_CLOSED, <int>-r)
    if ex.res_state == RES_HEAD and (c.ep.core.draining or c.service.closing):
        ex.client_keep = 0
    if r == 0:
        if ex.res_state == RES_TUNNEL:
            c.node_eof = 1
            conn.ep.readable = 0
            return 1
        ex_response_eof(ex)
        if ex.why != WHY_NONE:
            return node_lost(c, PHASE_RESPONSE, ex.why, 0)
        ex.node_keep = 0
    else:
        feed(c, ex, conn)
        if ex.held:
            if held_response(c, ex, conn):
                return 1
            feed(c, ex, conn)
        if not began and ex.res_state != RES_HEAD:
            count_outcome(c, ex, conn)
        if ex.why != WHY_NONE:
            up_failed(c.ep.core, conn.node, c.service, PHASE_RESPONSE, WHY_BAD_RESPONSE, 0, HOLD_NONE)
            if not try_again(c, FAILED_INVALID, ex.why, 0):
                relay_fail(c, 502, ex.why)
            return 1
    if ex.started and not ex.committed:
        ex.committed = 1         # no second try after the first byte of a response
        buf_consume(&ex.up, ex.up_sent)
        ex.up_sent = 0
    if ex.res_state == RES_DONE:
        response_done(c, ex, conn)
    else:
        up_arm(conn)
    return 1


cdef void sent_to_client(Client* c, uint64_t n) noexcept nogil:
    if n:
        c.last_out_ms = c.ep.core.now_ms
        client_counts(c).bytes_out += n
    if not c.ep.writable:
        timer_at_most(&c.ep.core.wheel, &c.timer, c.last_out_ms + c.service.client_write_ms)


cdef int to_client(Client* c, Exchange* ex) noexcept nogil:
    cdef uint32_t n = buf_len(&ex.down)
    cdef ssize_t r
    cdef int what = 0, error = 0
    cdef uint64_t none = 0
    if n == 0:
        if c.relay_down == NULL or ex.conn != NULL:
            return 0
        # The node is done; what is left in the pipe still has to go.
        r = <ssize_t>relay_splice(c.ep.core, c.relay_down, &c.ep, &c.ep, &none, &what, &error)
        sent_to_client(c, <uint64_t>r)
        c.cut = what == SPLICE_SINK_ERROR
        if c.relay_down.filled == 0:
            relay_free(c.relay_down)
            c.relay_down = NULL
            return 1
        return r > 0 or c.cut
    if not c.ep.writable:
        return 0
    r = c.ep.core.net.send(c.ep.fd, buf_data(&ex.down), n)
    if r < 0:
        c.ep.writable = 0
        if r != -EAGAIN:
            c.cut = 1
            return 1
        sent_to_client(c, 0)
        return 0
    if r < n:
        c.ep.writable = 0
    buf_consume(&ex.down, <uint32_t>r)
    sent_to_client(c, <uint64_t>r)
    return 1


cdef int tunnel_ends(Client* c, Exchange* ex) noexcept nogil:
    # Each side's end is told to the other once all its bytes are delivered; 2: both are over.
    cdef Conn* conn = <Conn*>ex.conn
    cdef int over = 0
    if c.eof and buf_len(&c.inp) == 0 and buf_len(&ex.up) == 0:
        if c.eof == 1:
            c.eof = 2
            c.ep.core.net.finish(conn.ep.fd)
        over += 1
    if c.node_eof and buf_len(&ex.down) == 0:
        if c.node_eof == 1:
            c.node_eof = 2
            c.ep.core.net.finish(c.ep.fd)
        over += 1
    return over


cdef int one_round(Client* c, Exchange* ex) noexcept nogil:
    cdef int moved = 0
    cdef Conn* conn
    if not ex.own:
        if (ex.res_state == RES_HEAD and not ex.req_done) or ex.res_state == RES_TUNNEL:
            moved = from_client(c, ex)
        if ex.conn == NULL and ex.res_state == RES_HEAD and not ex.own and not c.cut:
            moved |= find_node(c, ex)
        conn = <Conn*>ex.conn
        if conn != NULL and conn.state == CONN_BUSY and not c.cut:
            moved |= to_node(c, ex, conn)
            if not ex.req_done and ex.res_state == RES_HEAD:
                moved |= splice_request(c, ex, conn)
            if ex.conn != NULL:
                moved |= from_node(c, ex, conn)
    if not c.cut:
        moved |= to_client(c, ex)
    return moved


cdef int relay_pump(Client* c) noexcept nogil:
    cdef Exchange* ex = c.ex
    cdef int rounds
    for rounds in range(MAX_ROUNDS):
        if not one_round(c, ex) and not c.cut:
            if ex.res_state == RES_TUNNEL and tunnel_ends(c, ex) == 2:
                return PUMP_CLOSE
            return PUMP_WAIT
        if c.cut:
            to_client(c, ex)     # what came of the response still goes out; then it ends visibly
            return PUMP_ABORT if ex.res_out == BODY_CLOSE or ex.res_state == RES_TUNNEL else PUMP_CLOSE
        if ex.res_state == RES_DONE and ex.conn == NULL and buf_len(&ex.down) == 0 and c.relay_down == NULL:
            return PUMP_DONE
    return PUMP_AGAIN


cdef void relay_conn_ready(Client* c) noexcept nogil:
    stop_waiting(c)


cdef void relay_conn_failed(Client* c, int phase, int why, int error) noexcept nogil:
    stop_waiting(c)
    if phase == PHASE_TIMEOUT:
        node_lost(c, phase, why, error)
    # Nothing was sent, and upstream noted the node as tried; without a reason it only refused to be verified.
    elif why != WHY_NONE and not try_again(c, FAILED_CONNECT, why, 0):
        answer_no_node(c)
