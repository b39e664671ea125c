# The retry budget of a service: retries as a share of its traffic, over all workers and ten seconds.

from libc.stdint cimport uint32_t, uint64_t

from wsgistack.balancer.plane.board cimport BoardView

# Note this worker's counters for the window; call it at least once a second.
cdef void budget_mark(BoardView* view, uint64_t now_s) noexcept nogil
# May one more retry of the service be made? `percent` is the share of its requests.
cdef int budget_allows(const BoardView* view, uint32_t slot, uint32_t percent, uint64_t now_s) noexcept nogil
