"""The head of a request as a node, or the keeper of the page cache, is to have it.

The hop: a request that the cache has to decide about goes to the keeper as to a node.  The keeper answers it,
or sends it on to the inner listener of the service, where it is as if it had just come, but for what was
done with it before: limits, the cache, its line in the log, its counters and forwarded fields.

    client -> worker -> keeper -> inner listener of any worker -> node

What is a node's alone is done on the inner side: HEADER INSERT and REMOVE, sticky sessions, retries.
A keeper that can not be reached, or dies under a request that may be repeated, is passed by: the head is
written anew, for the pool.
"""

from libc.stdint cimport uint32_t
from libc.string cimport memcpy, memset, strlen

from wsgistack.balancer.plane.buf cimport Buf, buf_append, buf_data, buf_len, buf_release
from wsgistack.balancer.plane.core cimport Client, Core, Pool, Service, Share, service_counts
from wsgistack.balancer.plane.exchange cimport WHY_NO_MEMORY, WHY_NONE, Exchange, ex_forward
from wsgistack.balancer.plane.keys cimport set_key
from wsgistack.balancer.plane.octets cimport is_blank
from wsgistack.balancer.plane.page_rules cimport WAY_FALLBACK, WAY_HOP
from wsgistack.balancer.plane.pages cimport pages_tell_fallback
from wsgistack.balancer.plane.queues cimport queue_class
from wsgistack.balancer.plane.request_id cimport identify
from wsgistack.balancer.plane.split cimport pool_used, share_of
from wsgistack.balancer.plane.sticky cimport STICKY_COOKIE, sticky_begin
from wsgistack.balancer.plane.wire cimport (
    F_IDEMPOTENCY_KEY,
    F_X_FORWARDED_FOR,
    M_GET,
    M_HEAD,
    Field,
    Head,
    RequestRewrite,
    parse_request_head,
)


# -- who it is -----------------------------------------------------------------------------

cdef void take_peer(Client* c, const Head* h, const char* p) noexcept nogil:
    # On the inner side the client is whom the worker before wrote down last.
    cdef const Field* f
    cdef const char* q
    cdef uint32_t i, start, end
    c.peer_known = 0
    for i in range(h.n_fields):
        f = &h.fields[i]
        if f.id != F_X_FORWARDED_FOR:
            continue
        q = p + f.value
        end = f.value_len
        start = end
        while start and q[start - 1] != b",":
            start -= 1
        while start < end and is_blank(q[start]):
            start += 1
        if end - start < sizeof(c.peer):
            memcpy(c.peer, q + start, end - start)
            c.peer_len = end - start


cdef void forward_begin(Client* c, const Head* h, const char* p, RequestRewrite* r, char* id) noexcept nogil:
    cdef Service* s = c.service
    memset(r, 0, sizeof(RequestRewrite))
    r.peer = c.peer
    r.peer_len = c.peer_len
    r.peer_is_v6 = c.is_v6
    r.trusted = c.trusted
    r.blind = c.inner or (c.trusted and s.blind_proxy)
    r.inner = c.inner
    r.https = c.https
    r.keep_alive = s.persist_backend
    r.authority = s.authority
    r.authority_len = s.authority_len
    r.insert = b""
    r.remove = b""
    if c.inner:
        take_peer(c, h, p)
    elif s.request_id:
        identify(c.ep.core, s.request_id, h, p, r, id)


# -- the head ------------------------------------------------------------------------------

cdef void leave_out_split(Client* c, RequestRewrite* r) noexcept nogil:
    # The cookie is ours, and makes no page another one.
    r.split_cookie = c.service.split.cookie
    r.split_cookie_len = c.service.split.cookie_len


cdef void to_keeper(Client* c, RequestRewrite* r) noexcept nogil:
    cdef Service* s = c.service
    cdef const Share* share = share_of(s, c.ex)
    r.keep_alive = 1
    if share != NULL:
        r.bucket = share.pool.name
        r.bucket_len = <uint32_t>strlen(share.pool.name)
    if s.sticky == STICKY_COOKIE and (c.ex.method_id == M_GET or c.ex.method_id == M_HEAD):
        r.cookie = s.sticky_name
        r.cookie_len = s.sticky_name_len


cdef void to_pool(Client* c, const Head* h, const char* p, RequestRewrite* r) noexcept nogil:
    cdef Exchange* ex = c.ex
    cdef Service* s = c.service
    cdef Pool* pool = pool_used(s, ex)
    if s.split != NULL:
        leave_out_split(c, r)
    r.insert = s.insert
    r.insert_len = s.insert_len
    r.remove = s.remove
    r.remove_len = s.remove_len
    if s.sticky:
        sticky_begin(c, h, p, r)
        # Else no page could be shared: each would set a cookie for whoever was first.
        ex.insert_if_set = c.inner and (ex.method_id == M_GET or ex.method_id == M_HEAD)
    if ex.idempotent and s.retries_status:
        ex.watched = s.retry_status
    ex.watch_error = s.n_delays > 0 and (ex.method_id == M_GET or ex.method_id == M_HEAD)
    if s.marked:
        queue_class(c, h, p)
    if pool == NULL or not pool.keyed:
        pool = s.pool            # in case it strays
    if pool != NULL and pool.keyed:
        set_key(c, pool, h, p)


cdef int keep_raw(Exchange* ex, const Head* h, const char* p, const RequestRewrite* r) noexcept nogil:
    # The name of the request, and its head, for forward_past_keeper.
    cdef uint32_t n = r.request_id_len
    return buf_append(&ex.raw, <const char*>&n, sizeof(n)) | buf_append(&ex.raw, r.request_id, n) | buf_append(&ex.raw, p, h.size)


cdef int forward_head(Client* c, const Head* h, const char* p, RequestRewrite* r) noexcept nogil:
    cdef Exchange* ex = c.ex
    ex.idempotent |= c.service.retry_keyed and h.seen >> F_IDEMPOTENCY_KEY & 1
    if ex.way == WAY_HOP:
        to_keeper(c, r)
        if c.service.split != NULL:
            leave_out_split(c, r)
        if keep_raw(ex, h, p, r) != 0:
            return WHY_NO_MEMORY
        service_counts(c).cache_hops += 1
    else:
        to_pool(c, h, p, r)
    return ex_forward(ex, h, p, r)


cdef int forward_past_keeper(Client* c) noexcept nogil:
    cdef Exchange* ex = c.ex
    cdef Core* core = c.ep.core
    cdef RequestRewrite r
    cdef Buf before = ex.up
    cdef const char* raw = buf_data(&ex.raw)
    cdef const char* p
    cdef char id[ID_BYTES]
    cdef uint32_t n, head = ex.up_head
    cdef int failed
    if ex.committed or ex.started or buf_len(&ex.raw) == 0:
        return 0
    memcpy(&n, raw, sizeof(n))
    p = raw + sizeof(n) + n
    core.head.max_bytes, core.head.max_fields, core.head.max_target = c.service.max_header_bytes, c.service.max_headers, c.service.max_uri
    core.head.scan = 0
    if parse_request_head(p, buf_len(&ex.raw) - sizeof(n) - n, &core.head) <= 0:
        return 0                 # a setting became tighter meanwhile
    ex.way = WAY_FALLBACK
    forward_begin(c, &core.head, p, &r, id)
    r.request_id = raw + sizeof(n)
    r.request_id_len = n
    memset(&ex.up, 0, sizeof(Buf))
    failed = forward_head(c, &core.head, p, &r) != WHY_NONE
    # What came of the body is already in the framing in which it goes on.
    failed |= buf_append(&ex.up, before.p + before.start + head, before.end - before.start - head) != 0
    buf_release(&before)
    buf_release(&ex.raw)
    pages_tell_fallback(ex)
    service_counts(c).cache_fallbacks += 1
    return not failed
