"""The retry budget of a service: retries as a share of its traffic, over all workers and ten seconds.

Each worker notes its own counters once a second in a ring on the scoreboard; the window is
the difference to the oldest note.  So nothing is added to a request's way, and only a
request that failed pays for the sum over the workers.
"""

from libc.stdint cimport uint32_t, uint64_t

from wsgistack.balancer.plane.board cimport (
    BUDGET_MARKS,
    SERVICE_SLOTS,
    Board,
    BoardView,
    BudgetMark,
    ServiceCount,
)

cdef enum:
    # A quiet service has no share worth speaking of: Envoy admits 3 retries at a time, Finagle 10 a second.
    FLOOR = 30                   # in a window: 3 a second


cdef void budget_mark(BoardView* view, uint64_t now_s) noexcept nogil:
    cdef uint32_t i
    cdef ServiceCount* c
    cdef BudgetMark* m
    for i in range(SERVICE_SLOTS):
        c = &view.mine.services[i]
        m = &c.marks[now_s % BUDGET_MARKS]
        if c.requests or m.requests:         # untouched pages of the board stay unallocated
            m.requests = c.requests
            m.resent = c.resent


cdef int budget_allows(const BoardView* view, uint32_t slot, uint32_t percent, uint64_t now_s) noexcept nogil:
    cdef uint64_t requests = 0, resent = 0
    cdef const ServiceCount* c
    cdef const BudgetMark* oldest
    cdef uint32_t w
    for w in range(view.workers):
        c = &view.blocks[w].services[slot]
        oldest = &c.marks[(now_s + 1) % BUDGET_MARKS]
        # Below its mark: the counters were reset since.
        requests += c.requests - oldest.requests if c.requests >= oldest.requests else c.requests
        resent += c.resent - oldest.resent if c.resent >= oldest.resent else c.resent
    return resent < FLOOR + requests * percent // 100


# -- the face for tests --------------------------------------------------------------------

cdef class BudgetFace:
    """One service's budget on a board of its own, driven from Python; not for production."""

    cdef Board board
    cdef BoardView view

    def __init__(self, workers: int = 1):
        self.board = Board.create(workers)

    def count(self, requests: int = 0, resent: int = 0, worker: int = 0) -> None:
        """Let a worker have done so much more."""
        self.view = self.board.view(worker)
        self.view.mine.services[0].requests += <uint64_t>requests
        self.view.mine.services[0].resent += <uint64_t>resent

    def mark(self, now_s: int, worker: int = 0) -> None:
        """Let a worker's clock strike a second."""
        self.view = self.board.view(worker)
        budget_mark(&self.view, now_s)

    def allows(self, percent: int, now_s: int) -> bool:
        """Return whether one more retry may be made."""
        self.view = self.board.view(0)
        return bool(budget_allows(&self.view, 0, percent, now_s))

    def reset(self) -> None:
        """Zero the service's counters, as the admin port can."""
        self.board.reset_service(0)

    def close(self) -> None:
        """Let the board go."""
        self.board.close()
