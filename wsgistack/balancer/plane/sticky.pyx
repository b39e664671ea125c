"""Sticky sessions: which node a request belongs to, and how its client is told to come back.

`cookie`: a cookie of ours holds a token that the control plane made for the node
(balancer/sticky.py); one that names no node of the pool is as good as none.  `learn`: the
node that sets the application's own cookie is remembered for it (learned.pyx).

A node that drains still gets the requests that belong to it.  One that is down, held or gone
does not (pick.pyx decides): the request is balanced, and its client belongs to the node that answers.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdio cimport snprintf
from libc.string cimport memcmp

from wsgistack.balancer.plane.asker cimport came_by_https
from wsgistack.balancer.plane.cookies cimport find_cookie
from wsgistack.balancer.plane.core cimport LINE_BYTES, TOKEN_BYTES, Client, Conn, Core, Node, Pool, Service, node_unref
from wsgistack.balancer.plane.exchange cimport Exchange
from wsgistack.balancer.plane.learned cimport learned_find, learned_key, learned_store
from wsgistack.balancer.plane.octets cimport Span
from wsgistack.balancer.plane.split cimport pool_used, tokens_used
from wsgistack.balancer.plane.wire cimport F_COOKIE, Field, Head, RequestRewrite


cdef Node* node_of_token(const Pool* pool, const char* tokens, const uint8_t* token, uint32_t n) noexcept nogil:
    cdef uint32_t i
    if pool == NULL or n != TOKEN_BYTES:
        return NULL
    for i in range(pool.n):
        if memcmp(tokens + i * TOKEN_BYTES, token, TOKEN_BYTES) == 0:
            return pool.members[i].node
    return NULL


cdef Node* node_of_id(const Pool* pool, uint32_t id) noexcept nogil:
    cdef uint32_t i
    if pool == NULL or id == 0:
        return NULL
    for i in range(pool.n):
        if pool.members[i].node.id == id:
            return pool.members[i].node
    return NULL


cdef void sticky_begin(Client* c, const Head* h, const char* p, RequestRewrite* r) noexcept nogil:
    cdef Service* s = c.service
    cdef Exchange* ex = c.ex
    cdef Core* core = c.ep.core
    cdef Node* node = NULL
    cdef const Field* f
    cdef const uint8_t* q
    cdef Span value
    cdef uint32_t i
    ex.sticky = s.sticky
    ex.secure = came_by_https(c, h, p)
    if s.sticky == STICKY_LEARN:
        ex.learn = s.sticky_name
        ex.learn_len = s.sticky_name_len
    if not h.seen & (1 << F_COOKIE):
        return
    for i in range(h.n_fields):
        f = &h.fields[i]
        q = <const uint8_t*>p + f.value
        if f.id != F_COOKIE or node != NULL or not find_cookie(q, f.value_len, s.sticky_name, s.sticky_name_len, &value):
            continue
        if s.sticky == STICKY_COOKIE:
            r.cookie = s.sticky_name
            r.cookie_len = s.sticky_name_len
            node = node_of_token(pool_used(s, ex), tokens_used(s, ex), q + value.start, value.end - value.start)
        elif value.end > value.start:
            ex.sticky_key = learned_key(core.board.learned, s.number, <const char*>q + value.start, value.end - value.start)
            node = node_of_id(pool_used(s, ex), learned_find(core.board.learned, ex.sticky_key, <uint32_t>(core.now_ms // 1000), s.sticky_ttl_s, True))
    if node != NULL:
        node.refs += 1
        ex.sticky_node = node


cdef void write_set_cookie(Client* c, const char* token) noexcept nogil:
    cdef Core* core = c.ep.core
    cdef Service* s = c.service
    cdef char age[32]
    age[0] = 0
    if s.sticky_ttl_s:
        snprintf(age, sizeof(age), b"; Max-Age=%u", s.sticky_ttl_s)
    c.ex.insert_len = snprintf(
        core.line, LINE_BYTES, b"Set-Cookie: %.*s=%.*s; Path=/; HttpOnly; SameSite=Lax%s%s\r\n",
        <int>s.sticky_name_len, s.sticky_name, <int>TOKEN_BYTES, token, age, b"; Secure" if c.ex.secure else b"")
    c.ex.insert = core.line


cdef void sticky_prepare(Client* c, Conn* conn) noexcept nogil:
    cdef Exchange* ex = c.ex
    cdef Service* s = c.service
    cdef const Pool* pool = pool_used(s, ex)
    cdef uint32_t i
    ex.insert_len = 0
    if ex.sticky != STICKY_COOKIE or s.sticky != STICKY_COOKIE or ex.sticky_node == conn.node or pool == NULL:
        return
    for i in range(pool.n):
        if pool.members[i].node == conn.node:
            write_set_cookie(c, tokens_used(s, ex) + i * TOKEN_BYTES)
            return


cdef void sticky_absorb(Client* c, Conn* conn) noexcept nogil:
    cdef Exchange* ex = c.ex
    cdef Core* core = c.ep.core
    cdef uint32_t now_s = <uint32_t>(core.now_ms // 1000)
    if ex.sticky != STICKY_LEARN:
        return
    if ex.learned_len:
        learned_store(core.board.learned, learned_key(core.board.learned, c.service.number, ex.learned, ex.learned_len),
                      conn.node.id, now_s)
    elif ex.sticky_node != NULL and ex.sticky_node != conn.node:
        # Known, and answered by another: from here on that is its node. A value that no node ever
        # set is not learned, or strangers could fill the table.
        learned_store(core.board.learned, ex.sticky_key, conn.node.id, now_s)


cdef void sticky_drop(Exchange* ex) noexcept nogil:
    if ex.sticky_node != NULL:
        node_unref(<Node*>ex.sticky_node)
        ex.sticky_node = NULL
