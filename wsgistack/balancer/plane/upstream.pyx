"""Connections to nodes.

    connecting -> [verifying] -> busy <-> idle -> closed

A worker keeps idle connections per node, most recently used first.  Events of idle
connections are handled before those of clients in each batch (plane.pyx), so a connection
that its node has closed is gone before a request could be put on it.
"""

from libc.errno cimport EAGAIN, ECONNRESET, ETIMEDOUT
from libc.stdint cimport uint32_t, uint64_t
from libc.stdio cimport snprintf
from libc.stdlib cimport calloc
from libc.string cimport memcmp, strncpy

from wsgistack.balancer.plane.access_log cimport log_node
from wsgistack.balancer.plane.board cimport NodeCount, board_bad
from wsgistack.balancer.plane.buf cimport buf_append, buf_consume, buf_data, buf_len, buf_release, buf_reserve, buf_room
from wsgistack.balancer.plane.buf cimport buf_tail
from wsgistack.balancer.plane.core cimport (
    CONN_BUSY,
    CONN_CONNECTING,
    CONN_IDLE,
    CONN_VERIFYING,
    KIND_CONN,
    NAME_BYTES,
    PHASE_CONNECT,
    PHASE_TIMEOUT,
    PHASE_VERIFY,
    TEXT_BYTES,
    Client,
    Conn,
    Core,
    EventRecord,
    Node,
    Pool,
    Service,
    Share,
    core_event,
    core_random,
    endpoint_bury,
    node_unref,
    service_unref,
)
from wsgistack.balancer.plane.exchange cimport (
    RES_DONE,
    RES_HEAD,
    RES_TUNNEL,
    WHY_BAD_RESPONSE,
    WHY_CONNECT_FAILED,
    WHY_CONNECT_TIMEOUT,
    WHY_NODE_CLOSED,
    WHY_NODE_TIMEOUT,
    WHY_NONE,
    WHY_POOL_OPEN,
    Exchange,
    ex_response_eof,
    ex_response_input,
    ex_tried,
    exchange_free,
    exchange_new,
    reason_name,
)
from wsgistack.balancer.plane.net cimport EV_ERR, EV_HUP, EV_IN, EV_OUT, EV_RDHUP
from wsgistack.balancer.plane.page_rules cimport WAY_HOP
from wsgistack.balancer.plane.pick cimport FOUND_FULL, FOUND_NODE, FOUND_NONE, give_place, has_other, take_place
from wsgistack.balancer.plane.split cimport share_of, split_stray
from wsgistack.balancer.plane.timers cimport timer_at_most, timer_cancel
from wsgistack.balancer.plane.wire cimport M_OPTIONS

cdef enum:
    NOVERIFY_MS = 60000          # Perlbal's: one that does not keep the connection of OPTIONS
    READ_BYTES = 16384
    KEEPER_CONNECTIONS = 64      # idle ones: it is a neighbour, and they cost it a greenlet each
    KEEPER_MORE_MS = 5000        # than a node has: who waits for one says so first


cdef inline NodeCount* counts(Conn* conn) noexcept nogil:
    return &conn.ep.core.board.mine.nodes[conn.node.slot]


cdef void up_failed(Core* core, Node* node, Service* service, int phase, int why, int error, int hold_ms) noexcept nogil:
    cdef EventRecord* e
    cdef uint64_t until = core.now_ms + <uint64_t>hold_ms
    cdef int is_told = node.is_keeper and core.board.holds[node.slot].hold_until_ms > core.now_ms
    core.board.mine.nodes[node.slot].failures += 1
    board_bad(&core.board.mine.outcomes[node.slot])
    if hold_ms and core.board.holds[node.slot].hold_until_ms < until:
        core.board.holds[node.slot].hold_until_ms = until
        if core.board.latest_hold_ms[0] < until:
            core.board.latest_hold_ms[0] = until
    e = NULL if is_told else core_event(core)        # of the keeper once is enough
    if e != NULL:
        e.kind = 2
        e.phase = phase
        e.error = error
        e.why = reason_name(why)
        strncpy(e.node, node.address, TEXT_BYTES - 1)
        strncpy(e.service, service.name, NAME_BYTES - 1)


cdef void idle_remove(Conn* conn) noexcept nogil:
    cdef Node* node = conn.node
    if conn.idle_prev != NULL:
        conn.idle_prev.idle_next = conn.idle_next
    else:
        node.idle = conn.idle_next
    if conn.idle_next != NULL:
        conn.idle_next.idle_prev = conn.idle_prev
    conn.idle_next = NULL
    conn.idle_prev = NULL
    node.n_idle -= 1


cdef void up_close(Conn* conn) noexcept nogil:
    cdef Core* core = conn.ep.core
    cdef Node* node = conn.node
    if conn.ep.dead:
        return
    timer_cancel(&core.wheel, &conn.timer)
    if conn.state == CONN_IDLE:
        idle_remove(conn)
    if conn.state == CONN_CONNECTING:
        counts(conn).connecting -= 1
    counts(conn).open -= 1
    core.net.close(conn.ep.fd)
    conn.ep.fd = -1
    buf_release(&conn.inp)
    if conn.verify != NULL:
        exchange_free(conn.verify)
        conn.verify = NULL
    if conn.prev != NULL:
        conn.prev.next = conn.next
    else:
        node.all = conn.next
    if conn.next != NULL:
        conn.next.prev = conn.prev
    service_unref(conn.service)
    node_unref(node)
    endpoint_bury(&conn.ep)


cdef void up_close_idle(Node* node) noexcept nogil:
    while node.idle != NULL:
        up_close(node.idle)


cdef void use_service(Conn* conn, Service* service) noexcept nogil:
    if conn.service != service:
        service.refs += 1
        if conn.service != NULL:
            service_unref(conn.service)
        conn.service = service


cdef Conn* take_idle(Core* core, Node* node, int must_be_alive) noexcept nogil:
    # A request that must not be sent twice pays one more system call for a look at the connection:
    # it closes the gap between this batch's events and now.
    cdef Conn* conn
    while node.idle != NULL:
        conn = node.idle
        if must_be_alive and core.net.peek(conn.ep.fd) != -EAGAIN:
            up_close(conn)
            continue
        idle_remove(conn)
        conn.state = CONN_BUSY
        conn.reused = 1
        return conn
    return NULL


cdef Conn* open_conn(Core* core, Node* node, Service* service, int* error) noexcept nogil:
    cdef Conn* conn
    cdef NodeCount* n = &core.board.mine.nodes[node.slot]
    cdef int fd = -1
    cdef int r
    n.attempts += 1
    n.lastattempt = core.epoch_s
    r = core.net.connect(node.sockaddr, node.sockaddr_size, &fd)
    if r < 0:
        error[0] = -r
        return NULL
    conn = <Conn*>calloc(1, sizeof(Conn))
    if conn == NULL:
        core.net.close(fd)
        error[0] = 12
        return NULL
    conn.ep.kind = KIND_CONN
    conn.ep.fd = fd
    conn.ep.core = core
    conn.timer.owner = conn
    conn.node = node
    node.refs += 1
    use_service(conn, service)
    conn.next = node.all
    if node.all != NULL:
        node.all.prev = conn
    node.all = conn
    conn.born_ms = core.now_ms
    conn.since_ms = core.now_ms
    conn.state = CONN_CONNECTING
    n.open += 1
    n.connecting += 1
    r = core.net.watch(core.epfd, fd, conn, 1)
    if r < 0:
        error[0] = -r
        up_close(conn)
        return NULL
    timer_at_most(&core.wheel, &conn.timer, core.now_ms + service.connect_ms)
    return conn


cdef void hand_over(Conn* conn, Client* client, Exchange* ex) noexcept nogil:
    conn.client = client
    ex.conn = conn
    ex.asked_us = conn.ep.core.now_us
    conn.since_ms = conn.ep.core.now_ms
    conn.last_ms = conn.since_ms


cdef void engage(Core* core, Node* node, Exchange* ex) noexcept nogil:
    # The place on the node is taken: see pick.pyx.
    ex.node = node
    node.refs += 1
    ex.asked += 1
    ex.taken_us = core.now_us
    ex.ready_us = core.now_us
    if buf_len(&ex.log):
        log_node(ex, node)


cdef void disengage(Core* core, Exchange* ex) noexcept nogil:
    cdef Node* node = <Node*>ex.node
    if node != NULL:
        ex.node = NULL
        give_place(core, node)
        node_unref(node)


cdef int is_admitted(Core* core, const Pool* pool, Exchange* ex) noexcept nogil:
    # Asked until it says yes: the breaker judges requests, not their repetitions.
    if not ex.is_admitted:
        ex.is_admitted = pool.admits >= 100 or core_random(core) % 100 < pool.admits
    return ex.is_admitted


cdef int choose_of_bucket(Core* core, const Share* share, Client* client, Exchange* ex, Node** node) noexcept nogil:
    cdef int found = FOUND_NONE
    if share.pool.admits >= 100 or core_random(core) % 100 < share.pool.admits:
        found = take_place(core, share.pool, ex, node)
    if found == FOUND_NODE:
        ex.strayed = 0
    else:
        split_stray(client)
    return found


cdef int choose(Core* core, Client* client, Exchange* ex, Node** node) noexcept nogil:
    cdef Service* service = client.service
    cdef const Share* share
    cdef int found, of_bucket = FOUND_NONE
    if ex.way == WAY_HOP:
        return take_place(core, service.keeper, ex, node) if service.keeper != NULL else FOUND_NONE
    if ex.bucket:
        share = share_of(service, ex)
        if share == NULL:
            split_stray(client)  # taken away meanwhile
        else:
            of_bucket = choose_of_bucket(core, share, client, ex, node)
            if of_bucket == FOUND_NODE:
                return FOUND_NODE
    found = choose_of_service(core, service, ex, node)
    return of_bucket if found == FOUND_NONE else found           # full is better than none: it waits


cdef int choose_of_service(Core* core, Service* service, Exchange* ex, Node** node) noexcept nogil:
    cdef int found
    if service.pool == NULL:
        return FOUND_NONE
    if not is_admitted(core, service.pool, ex):
        ex.last_why = WHY_POOL_OPEN
        return FOUND_NONE
    found = take_place(core, service.pool, ex, node)
    if found == FOUND_NONE and ex.n_tried and ex.may_forget:
        ex.n_tried = 0
        ex.asked_again = 1
        found = take_place(core, service.pool, ex, node)
    return found


cdef int up_has_other(Service* service, Exchange* ex) noexcept nogil:
    cdef const Share* share = share_of(service, ex)
    return (share != NULL and has_other(share.pool, ex)) or (service.pool != NULL and has_other(service.pool, ex))


cdef int up_acquire(Core* core, Client* client, Exchange* ex) noexcept nogil:
    cdef Service* service = client.service
    cdef Node* node = NULL
    cdef Conn* conn = NULL
    cdef int error = 0
    cdef int found = choose(core, client, ex, &node)
    if found != FOUND_NODE:
        return ACQUIRED_FULL if found == FOUND_FULL else ACQUIRED_NONE
    engage(core, node, ex)
    if not ex.fresh_only:
        conn = take_idle(core, node, not ex.idempotent)
    if conn != NULL:
        use_service(conn, service)
        hand_over(conn, client, ex)
        return ACQUIRED_NOW
    conn = open_conn(core, node, service, &error)
    if conn != NULL:
        hand_over(conn, client, ex)
        return ACQUIRED_LATER
    ex_tried(ex, node)
    ex.last_why = WHY_CONNECT_FAILED
    up_failed(core, node, service, PHASE_CONNECT, WHY_CONNECT_FAILED, error, HOLD_MS)
    disengage(core, ex)
    return ACQUIRED_FAILED


cdef int may_stay(const Conn* conn, const Service* service) noexcept nogil:
    if conn.node.is_keeper:
        return conn.node.n_idle < KEEPER_CONNECTIONS
    return (service.persist_backend and conn.node.n_idle < service.backend_persist_cache
            and not (service.max_backend_uses and conn.uses >= service.max_backend_uses))


cdef void up_release(Conn* conn, Exchange* ex, int keep) noexcept nogil:
    cdef Core* core = conn.ep.core
    cdef Service* service = conn.service
    disengage(core, ex)
    ex.conn = NULL
    conn.client = NULL
    conn.uses += 1
    if (not keep or conn.ep.rdhup or buf_len(&conn.inp) or conn.node.removed or core.draining
            or not may_stay(conn, service)):
        up_close(conn)
        return
    conn.state = CONN_IDLE
    conn.since_ms = core.now_ms
    conn.idle_prev = NULL
    conn.idle_next = conn.node.idle
    if conn.node.idle != NULL:
        conn.node.idle.idle_prev = conn
    conn.node.idle = conn
    conn.node.n_idle += 1
    timer_at_most(&core.wheel, &conn.timer, core.now_ms + service.node_keepalive_ms)


# -- a connection on its way ---------------------------------------------------------------

cdef void give_up(Conn* conn, int phase, int why, int error) noexcept nogil:
    # Nothing of the request was sent on it: its client may go to the next node.
    cdef Core* core = conn.ep.core
    cdef Client* client = conn.client
    cdef Exchange* ex
    up_failed(core, conn.node, conn.service, phase, why, error,
              SILENT_MS if why == WHY_CONNECT_TIMEOUT else HOLD_MS)
    if client != NULL:
        ex = client.ex
        ex_tried(ex, conn.node)
        ex.last_why = why
        ex.conn = NULL
        disengage(core, ex)
        conn.client = NULL
    up_close(conn)
    if client != NULL:
        core.conn_failed(client, phase, why, error)


cdef void ready(Conn* conn) noexcept nogil:
    conn.state = CONN_BUSY
    conn.reused = 0
    conn.since_ms = conn.ep.core.now_ms
    conn.last_ms = conn.since_ms
    (<Exchange*>conn.client.ex).ready_us = conn.ep.core.now_us
    conn.ep.core.conn_ready(conn)


cdef void begin_verify(Conn* conn) noexcept nogil:
    cdef Exchange* ex = exchange_new()
    cdef int n
    cdef const char* host = conn.node.address
    if memcmp(host, b"unix:", 5) == 0:
        host = b"localhost"
    if ex == NULL or buf_reserve(&ex.up, 1024) != 0:
        give_up(conn, PHASE_VERIFY, WHY_CONNECT_FAILED, 12)
        return
    ex.method_id = M_OPTIONS
    ex.client_minor = 1
    ex.req_done = 1
    n = snprintf(ex.up.p, 1024, b"OPTIONS %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: wsgistack\r\n\r\n",
                 conn.service.verify_path, host)
    ex.up.end = n
    conn.verify = ex
    conn.state = CONN_VERIFYING
    conn.since_ms = conn.ep.core.now_ms
    timer_at_most(&conn.ep.core.wheel, &conn.timer, conn.since_ms + conn.service.verify_ms)
    step_verify(conn)


cdef void connected(Conn* conn) noexcept nogil:
    cdef Core* core = conn.ep.core
    cdef NodeCount* n = counts(conn)
    n.connecting -= 1
    n.connects += 1
    n.lastconnect = core.epoch_s
    conn.state = CONN_BUSY
    if conn.service.verify_backend and not conn.node.is_keeper and core.board.holds[conn.node.slot].noverify_until_ms <= core.now_ms:
        begin_verify(conn)
    else:
        ready(conn)


cdef void verified(Conn* conn) noexcept nogil:
    cdef Exchange* ex = conn.verify
    cdef int keep = ex.node_keep
    cdef Core* core = conn.ep.core
    cdef Client* client = conn.client
    cdef Exchange* waiting
    conn.verify = NULL
    exchange_free(ex)
    if keep and not conn.ep.rdhup:
        counts(conn).verifies += 1
        ready(conn)
        return
    # It answers, but does not keep connections: use it unverified for a while.
    core.board.holds[conn.node.slot].noverify_until_ms = core.now_ms + NOVERIFY_MS
    waiting = client.ex
    waiting.conn = NULL
    disengage(core, waiting)
    conn.client = NULL
    up_close(conn)
    core.conn_failed(client, PHASE_VERIFY, WHY_NONE, 0)


cdef void step_verify(Conn* conn) noexcept nogil:
    cdef Core* core = conn.ep.core
    cdef Exchange* ex = conn.verify
    cdef ssize_t r
    while conn.ep.writable and buf_len(&ex.up):
        r = core.net.send(conn.ep.fd, buf_data(&ex.up), buf_len(&ex.up))
        if r < 0:
            if r == -EAGAIN:
                conn.ep.writable = 0
                break
            give_up(conn, PHASE_VERIFY, WHY_NODE_CLOSED, <int>-r)
            return
        buf_consume(&ex.up, <uint32_t>r)
    while conn.ep.readable:
        r = conn_read(conn, READ_BYTES)
        if r < 0:
            give_up(conn, PHASE_VERIFY, WHY_NODE_CLOSED, <int>-r)
            return
        if r > 0:
            buf_consume(&conn.inp, <uint32_t>ex_response_input(
                ex, &core.head, buf_data(&conn.inp), buf_len(&conn.inp)))
            buf_release(&ex.down)
        else:
            ex_response_eof(ex)
        if ex.why != WHY_NONE or ex.res_state == RES_TUNNEL:
            give_up(conn, PHASE_VERIFY, ex.why or WHY_BAD_RESPONSE, 0)
            return
        if ex.res_state == RES_DONE:
            verified(conn)
            return


cdef ssize_t conn_read(Conn* conn, uint32_t want) noexcept nogil:
    cdef ssize_t r
    if buf_reserve(&conn.inp, want) != 0:
        return -12
    want = buf_room(&conn.inp)
    r = conn.ep.core.net.recv(conn.ep.fd, buf_tail(&conn.inp), want)
    if r > 0:
        conn.inp.end += <uint32_t>r
        counts(conn).bytes_in += r
        conn.last_ms = conn.ep.core.now_ms
        if <uint32_t>r < want and not conn.ep.rdhup:
            conn.ep.readable = 0         # drained; with the edge of a FIN seen, the end is still to be read
    elif buf_len(&conn.inp) == 0:
        buf_release(&conn.inp)
    return r


cdef void up_event(Conn* conn, unsigned int events) noexcept nogil:
    cdef int error
    if events & (EV_IN | EV_RDHUP):
        conn.ep.readable = 1
    if events & EV_RDHUP:
        conn.ep.rdhup = 1
    if events & EV_OUT:
        conn.ep.writable = 1
    if conn.state == CONN_IDLE:
        # The only thing that an idle connection may say is that it ends (RFC 9112 9.2).
        if events & (EV_IN | EV_RDHUP | EV_ERR | EV_HUP):
            up_close(conn)
        return
    if conn.state == CONN_CONNECTING:
        if not events & (EV_OUT | EV_ERR | EV_HUP):
            return
        error = conn.ep.core.net.error(conn.ep.fd)
        if error == 0 and events & (EV_ERR | EV_HUP):
            error = ECONNRESET
        if error:
            give_up(conn, PHASE_CONNECT, WHY_CONNECT_FAILED, error)
        else:
            connected(conn)
        return
    if events & (EV_ERR | EV_HUP):
        conn.ep.readable = 1             # what came before the reset is still read, then its error
        conn.ep.writable = 1
    if conn.state == CONN_VERIFYING:
        step_verify(conn)
    else:
        conn.ep.core.conn_event(conn)


cdef inline int waits_for_reader(Client* client) noexcept nogil:
    return client.relay_down != NULL and client.relay_down.filled > 0 and not client.ep.writable


cdef uint64_t busy_deadline(Conn* conn) noexcept nogil:
    # 0: none. The node is not to blame while we wait for the client, or do not read for its sake.
    cdef Exchange* ex = conn.client.ex
    cdef Service* service = conn.service
    cdef uint64_t more_ms = service.queue_ms + <uint64_t>KEEPER_MORE_MS if conn.node.is_keeper else 0
    if ex.res_state == RES_TUNNEL:
        return 0
    if buf_len(&ex.up) > ex.up_sent or (conn.client.relay_up != NULL and conn.client.relay_up.filled):
        return conn.last_ms + service.node_idle_ms + more_ms
    if ex.res_state == RES_HEAD:
        if not ex.req_done:
            return 0
        return conn.last_ms + service.first_byte_ms + more_ms
    if buf_len(&ex.down) >= service.buffer_size or waits_for_reader(conn.client):
        return 0
    return conn.last_ms + service.node_idle_ms + more_ms


cdef void up_arm(Conn* conn) noexcept nogil:
    cdef uint64_t at = busy_deadline(conn)
    if at:
        timer_at_most(&conn.ep.core.wheel, &conn.timer, at)


cdef void up_timer(Conn* conn) noexcept nogil:
    cdef Core* core = conn.ep.core
    cdef uint64_t at
    cdef Client* client = conn.client
    if conn.ep.dead:
        return
    if conn.state == CONN_IDLE:
        at = conn.since_ms + conn.service.node_keepalive_ms
        if at <= core.now_ms:
            up_close(conn)
            return
    elif conn.state == CONN_CONNECTING:
        at = conn.since_ms + conn.service.connect_ms
        if at <= core.now_ms:
            give_up(conn, PHASE_CONNECT, WHY_CONNECT_TIMEOUT, ETIMEDOUT)
            return
    elif conn.state == CONN_VERIFYING:
        at = conn.since_ms + conn.service.verify_ms
        if at <= core.now_ms:
            give_up(conn, PHASE_VERIFY, WHY_CONNECT_TIMEOUT, ETIMEDOUT)
            return
    else:
        at = busy_deadline(conn)
        if at == 0:
            at = core.now_ms + 1000      # look again: what pauses it now may end without an event of its own
        elif at <= core.now_ms:
            core.conn_failed(client, PHASE_TIMEOUT, WHY_NODE_TIMEOUT, ETIMEDOUT)
            return
    timer_at_most(&core.wheel, &conn.timer, at)
