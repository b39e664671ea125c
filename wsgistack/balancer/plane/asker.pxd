# Who is asking: the client's address, the key under which a limit counts a request, and whether it does.

from libc.stdint cimport uint8_t

from wsgistack.balancer.plane.buf cimport Buf
from wsgistack.balancer.plane.core cimport Client
from wsgistack.balancer.plane.gates cimport AskerKey, GateLimit
from wsgistack.balancer.plane.limit_table cimport TableView
from wsgistack.balancer.plane.wire cimport Head


cdef struct Asker:               # one request's client
    uint8_t known
    uint8_t address[16]


# The address of the client: the peer's, or what trusted proxies say. http/forwarded.py is the twin.
cdef void find_asker(Client* c, const Head* h, const char* p, Asker* who) noexcept nogil
# Did the client come by https: on our socket, or as a trusted proxy says?
cdef bint came_by_https(const Client* c, const Head* h, const char* p) noexcept nogil
# Write the keys of a request under a limit, and return how many there are: one or two.
cdef int find_keys(const TableView* t, const Client* c, const GateLimit* limit, const Asker* who,
                   const Head* h, const char* p, AskerKey* keys) noexcept nogil
# Make the normal path of the request if `path` is empty; 0 without memory for it.
cdef int know_path(const Head* h, const char* p, Buf* path) noexcept nogil
# Is the limit about the request? `path` is empty before the first limit that asks, and released by the caller.
cdef int is_within(const GateLimit* limit, const Head* h, const char* p, const Asker* who, Buf* path) noexcept nogil


cdef inline int is_about(const GateLimit* limit, const Head* h, const char* p, const Asker* who, Buf* path) noexcept nogil:
    # Most limits are about everything: no call to find that out.
    return not (limit.methods or limit.n_paths or limit.n_exempt) or is_within(limit, h, p, who, path)


# The gates.Level of a request under a limit that sheds.
cdef int find_level(const GateLimit* limit, const Head* h, const char* p, const Asker* who, Buf* path) noexcept nogil
