# The compiled kernels of balancer/algorithms: which of the candidates takes a request.

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from wsgistack.balancer.plane.board cimport BoardView

cdef enum Kernel:
    KERNEL_PYTHON = -1
    KERNEL_RANDOM = 0
    KERNEL_ROUND_ROBIN
    KERNEL_LEAST
    KERNEL_TWO_CHOICES
    KERNEL_PEAK_EWMA
    KERNEL_CONSISTENT
    KERNEL_FIRST

cdef enum:
    NOWHERE = 0xFFFFFFFF         # in index_of: not a candidate


cdef struct Columns:             # the candidates, see Candidates in algorithms/__init__.py
    uint32_t count
    uint8_t even                 # all weights are alike
    uint64_t total_weight
    uint32_t* places             # index in the pool
    uint32_t* slots              # of the scoreboard
    uint32_t* weights
    uint32_t* index_of           # the reverse of places, by index in the pool


cdef struct Ring:
    uint32_t n
    uint32_t* points
    uint16_t* owners


cdef struct Slate:               # one choice to be made
    Columns of
    const BoardView* board       # asked for the loads and latencies that a kernel looks at
    uint64_t now_us
    uint32_t* loads              # or, for the tests, these
    uint32_t* latencies_us
    uint32_t* rested_ms
    uint32_t key
    uint8_t has_key
    uint32_t most_percent
    const Ring* ring


ctypedef uint64_t (*Draw)(void* source, uint64_t below) noexcept nogil

# Return the index of a candidate; there is at least one.
cdef uint32_t run_kernel(int kernel, Slate* s, uint64_t* state, Draw draw, void* source) noexcept nogil
cdef uint32_t load_of(const Slate* s, uint32_t i) noexcept nogil
cdef uint32_t latency_of(const Slate* s, uint32_t i) noexcept nogil
cdef uint32_t rest_of(const Slate* s, uint32_t i) noexcept nogil
cdef void columns_add(Columns* c, uint32_t place, uint32_t slot, uint32_t weight) noexcept nogil
