# Which request is which: X-Request-Id, made here or kept.

from wsgistack.balancer.plane.core cimport Core
from wsgistack.balancer.plane.wire cimport Head, RequestRewrite

cdef enum RequestId:
    ID_OFF = 0                   # X-Request-Id is a field like any other
    ID_MAKE
    ID_TRUST                     # one that came is kept if it is well formed

cdef enum:
    ID_BYTES = 32                # hexadecimal digits of one of ours
    LONGEST_ID = 128

# Set r.request_id; `room` has ID_BYTES and must last as long as r, as must the head's bytes p.
cdef void identify(Core* core, int mode, const Head* h, const char* p, RequestRewrite* r, char* room) noexcept nogil
