# What was learned of applications' cookies: cookie -> node, one table of fixed size for all workers.

from libc.stdint cimport uint32_t, uint64_t

cdef enum:
    LEARNED_WAYS = 8             # places that a cookie may take: two cache lines
    LEARNED_SETS = 8192

cdef struct LearnedPlace:
    uint64_t key                 # hash of service and cookie, 0: empty
    uint64_t word                # the node (32 bits), and the second of the last use

cdef struct Learned:
    uint64_t seeds[2]
    LearnedPlace places[LEARNED_SETS * LEARNED_WAYS]

# The hash of a cookie's value; never 0.
cdef uint64_t learned_key(const Learned* t, uint32_t service, const char* p, uint32_t n) noexcept nogil
# The node of that key, 0 for none; ttl_s 0: known until its place is needed.  A use prolongs its time.
cdef uint32_t learned_find(Learned* t, uint64_t key, uint32_t now_s, uint32_t ttl_s, bint is_use) noexcept nogil
cdef void learned_store(Learned* t, uint64_t key, uint32_t node, uint32_t now_s) noexcept nogil
# Take over the seeds and all that was used later there: for a table that is empty, or took over from it before.
cdef void learned_merge(Learned* t, Learned* other, uint32_t now_s) noexcept nogil
