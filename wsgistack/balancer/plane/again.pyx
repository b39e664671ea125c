"""The next try of a request whose last one failed: asks retry.pyx, and puts the request back."""

from libc.stdint cimport uint64_t

from wsgistack.balancer.plane.board cimport NodeOutcome, ServiceCount, board_bad, board_good, board_timed
from wsgistack.balancer.plane.budget cimport budget_allows
from wsgistack.balancer.plane.buf cimport buf_release
from wsgistack.balancer.plane.core cimport Client, Conn, Core, Pool
from wsgistack.balancer.plane.events cimport event_unbudgeted
from wsgistack.balancer.plane.exchange cimport Exchange, ex_rewind, ex_tried
from wsgistack.balancer.plane.forward cimport forward_past_keeper
from wsgistack.balancer.plane.page_rules cimport WAY_HOP
from wsgistack.balancer.plane.retry cimport FAILED_ERROR, FAILED_STALE, FAILED_TIMEOUT, REFUSED_BUDGET, Case, Verdict, retry_judge
from wsgistack.balancer.plane.split cimport pool_used
from wsgistack.balancer.plane.upstream cimport up_has_other, up_release


cdef inline ServiceCount* counts(Client* c) noexcept nogil:
    return &c.ep.core.board.mine.services[c.service.slot]


cdef void count_response(Core* core, const Exchange* ex, const Conn* conn) noexcept nogil:
    core.board.mine.nodes[conn.node.slot].requests += 1
    core.board.mine.nodes[conn.node.slot].lastresponse = core.epoch_s
    if 100 <= ex.status < 600:
        core.board.mine.nodes[conn.node.slot].codes[ex.status - 100] += 1


cdef void count_outcome(Client* c, const Exchange* ex, const Conn* conn) noexcept nogil:
    # The head is here: the node is judged by its status, and by the time to it.  The whole response's
    # time would be its length and the client's speed; a failure in the rest of it counts by itself.
    cdef Core* core = c.ep.core
    cdef NodeOutcome* o = &core.board.mine.outcomes[conn.node.slot]
    cdef const Pool* pool = pool_used(c.service, ex)
    if conn.node.is_keeper:
        return                   # whoever made its answer was judged on the inner side
    if pool != NULL and pool.bad[ex.status // 8] & (1 << ex.status % 8):
        board_bad(o)
        return
    board_good(o)
    if ex.req_done:
        board_timed(o, core.now_us, ex.first_us - ex.asked_us)


cdef uint64_t time_left(Client* c) noexcept nogil:
    cdef uint64_t now = c.ep.core.now_ms
    cdef uint64_t end = c.ex.began_us // 1000 + c.service.request_ms
    if not c.service.request_ms:
        return <uint64_t>1 << 62
    return end - now if end > now else 0


cdef Verdict judge(Client* c, int failure, int sent) noexcept nogil:
    cdef Exchange* ex = c.ex
    cdef Core* core = c.ep.core
    cdef Case q
    q.failure = failure
    q.sent = sent
    q.idempotent = ex.idempotent
    q.answered = ex.started
    q.whole = not ex.committed
    q.others = up_has_other(c.service, ex)
    q.within_budget = budget_allows(&core.board, c.service.slot, c.service.retry_budget, core.now_ms // 1000)
    q.asked_again = ex.asked_again
    q.retry_on = c.service.retry_on
    q.retries = ex.retries
    q.limit = c.service.retry_limit
    q.errors = ex.errors
    q.n_delays = c.service.n_delays
    q.delays_ms = c.service.delays_ms
    q.left_ms = time_left(c)
    return retry_judge(&q)


# A keeper that is not there, or dies, costs a request nothing that it could do again: it goes past it.
cdef int passes_keeper(Client* c, int failure, int sent) noexcept nogil:
    cdef Exchange* ex = c.ex
    return (ex.way == WAY_HOP and failure != FAILED_TIMEOUT and not ex.started and not ex.committed
            and (ex.idempotent or not sent))


cdef void put_back(Client* c, int keep_conn) noexcept nogil:
    cdef Exchange* ex = c.ex
    cdef Conn* conn = <Conn*>ex.conn
    if conn != NULL:
        if ex.held:
            count_outcome(c, ex, conn)
            count_response(c.ep.core, ex, conn)
            buf_release(&conn.inp)
        up_release(conn, ex, keep_conn)
    ex_rewind(ex)


cdef int try_again(Client* c, int failure, int why, int keep_conn) noexcept nogil:
    cdef Exchange* ex = c.ex
    cdef int sent = ex.conn != NULL and (ex.up_sent > 0 or ex.committed)
    cdef Verdict v
    if passes_keeper(c, failure, sent):
        put_back(c, 0)
        return forward_past_keeper(c)
    v = judge(c, failure, sent)
    ex.refusal = v.refusal
    if v.refusal:
        if v.refusal == REFUSED_BUDGET:
            counts(c).unbudgeted += 1
            event_unbudgeted(c)
        return 0
    ex.retries += v.counts
    ex.errors += failure == FAILED_ERROR
    ex.may_forget = v.forgets
    ex.last_why = why
    if failure == FAILED_STALE:
        ex.fresh_only = 1        # closed while idle: nothing is wrong with the node
    elif ex.conn != NULL:
        ex_tried(ex, (<Conn*>ex.conn).node)
    if v.delay_ms:
        ex.retry_at_ms = c.ep.core.now_ms + v.delay_ms
    put_back(c, keep_conn)
    counts(c).retries += 1
    counts(c).resent += v.spends
    return ex.way != WAY_HOP or forward_past_keeper(c)
