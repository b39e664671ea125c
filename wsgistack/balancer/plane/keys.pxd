# What a request hashes by; the twin of balancer/hash_key.py.

from libc.stdint cimport uint32_t

from wsgistack.balancer.plane.core cimport Client, Pool
from wsgistack.balancer.plane.message cimport Head

cdef enum KeyKind:
    KEY_IP = 0
    KEY_URI
    KEY_HEADER
    KEY_COOKIE

# Give the client's exchange its key; `p` is where the parsed head lies.
cdef void set_key(Client* c, const Pool* pool, const Head* h, const char* p) noexcept nogil
# Return the value of the first field or cookie of that name, NULL for none. A field's name is in lower case.
cdef const char* find_field(const Head* h, const char* p, const char* name, uint32_t name_len, uint32_t* size) noexcept nogil
cdef const char* find_cookie_sent(const Head* h, const char* p, const char* name, uint32_t name_len, uint32_t* size) noexcept nogil
