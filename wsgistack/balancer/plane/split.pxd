# Who of a service's visitors goes to which pool; see split.pyx.

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from wsgistack.balancer.plane.core cimport Client, Core, Pool, Service, Share, Split
from wsgistack.balancer.plane.exchange cimport Exchange
from wsgistack.balancer.plane.wire cimport Head

cdef enum SplitBy:               # in the order of WAYS in split_build.pyx
    SPLIT_BY_COOKIE = 0          # of our own, or of the application's if it has a name
    SPLIT_BY_IP
    SPLIT_BY_HEADER

# A request head is here: find the bucket of its visitor, and have a new one told his cookie. Only if service.split,
# or on the inner side if the keeper names a bucket.
cdef void split_begin(Client* c, const Head* h, const char* p) noexcept nogil
cdef double split_time(Core* core, Service* service, bytes head, int count) except -1
# A response head may come next: nobody else sets our cookie.
cdef void split_prepare(Client* c) noexcept nogil
# No place in the bucket's pool: the service's own takes the request.
cdef void split_stray(Client* c) noexcept nogil


cdef inline const Share* share_of(const Service* s, const Exchange* ex) noexcept nogil:
    # The bucket of a request; NULL for none, and for one that a newer snapshot does not know.
    cdef uint32_t i
    if ex.bucket and s.split != NULL:
        for i in range(s.split.n):
            if s.split.shares[i].number == ex.bucket:
                return &s.split.shares[i]
    return NULL


cdef inline Pool* pool_used(const Service* s, const Exchange* ex) noexcept nogil:
    # Where a request goes, or is.
    cdef const Share* share
    if not ex.bucket or ex.strayed:
        return s.pool
    share = share_of(s, ex)
    return share.pool if share != NULL else s.pool


cdef inline const char* tokens_used(const Service* s, const Exchange* ex) noexcept nogil:
    # The sticky tokens of that pool's nodes.
    cdef const Share* share
    if not ex.bucket or ex.strayed:
        return s.tokens
    share = share_of(s, ex)
    return share.tokens if share != NULL else s.tokens
