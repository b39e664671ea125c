# What the head of a response alone tells of it.

from wsgistack.balancer.plane.exchange cimport Exchange
from wsgistack.balancer.plane.wire cimport BODY_NONE, M_HEAD, Head


# Some servers (waitress 3) send the body of a response to HEAD if the application made one, in a segment
# of its own: on a connection that is used again at once it would be the next client's answer.
cdef inline bint may_trail(const Exchange* ex, const Head* h) noexcept nogil:
    cdef bint announced = h.content_length != 0 if ex.method_id == M_HEAD else h.chunked or h.content_length > 0
    return ex.res_in == BODY_NONE and announced


cdef inline bint is_watched(const Exchange* ex, int status) noexcept nogil:
    if status < 400:
        return False
    if status == 500 and ex.watch_error:
        return True
    return ex.watched != NULL and ex.watched[(status - 400) // 8] >> (status - 400) % 8 & 1


# Many servers send a head and its body apart; one that ends in between has not answered yet.
cdef inline bint is_lone(const Exchange* ex, const Head* h, size_t behind) noexcept nogil:
    return (ex.may_wait and not ex.started and behind == 0 and h.status >= 200 and ex.method_id != M_HEAD
            and h.status != 204 and h.status != 304 and (h.chunked or h.content_length > 0))
