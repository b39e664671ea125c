# From a snapshot (dicts) to the plane's structures. Holds the GIL; runs once per change.

from wsgistack.balancer.plane.core cimport Core, Member, Node, Pool, Service
from wsgistack.balancer.plane.kernels cimport Ring
from wsgistack.balancer.plane.networks cimport Cidr

cdef int fill_sticky(Service* s, dict settings, dict tokens) except -1
cdef char* make_tokens(Pool* pool, dict tokens) except NULL      # of sticky cookies, zeros for none
cdef int fill_service(Service* s, dict settings, list insert, list remove, object listen) except -1
cdef int fill_node(Node* n, str address, object connect, int slot) except -1
cdef Pool* make_pool(int size) except NULL
cdef int fill_pool(Pool* pool, dict settings) except -1
cdef int fill_member(Member* m, dict spec, dict settings, Core* core) except -1
cdef char* own_text(bytes text) except NULL         # a copy that is free()d
cdef int fill_trusted(Service* s, list networks) except -1
cdef int fill_cidr(Cidr* cidr, str text) except -1
cdef int fill_ring(Ring* ring, dict spec) except -1
cdef void free_pool(Pool* pool)
