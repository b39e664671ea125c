# The scoreboard: counters of all workers in one shared mapping.

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from wsgistack.balancer.plane.gates cimport KEY_BYTES, LEVELS
from wsgistack.balancer.plane.learned cimport Learned
from wsgistack.balancer.plane.limit_table cimport LimitTable
from wsgistack.balancer.plane.ready_table cimport ReadyTable

cdef enum:
    NODE_SLOTS = 1024
    KEEPER_ROW = NODE_SLOTS      # of the keeper of the page cache, beside those of nodes
    NODE_ROWS = NODE_SLOTS + 1
    SERVICE_SLOTS = 64
    MAX_WORKERS = 64
    LATENCY_BUCKETS = 64         # bucket i counts requests of [2**(i/2), 2**((i+1)/2)) microseconds
    BUDGET_MARKS = 11            # seconds, see budget.pyx
    LIMIT_SLOTS = 64
    BUCKETS = 32                 # counters of a service's, see balancer/split.py
    TOP_KEYS = 32                # of a limit and worker
    DECISION_BUCKETS = 17        # of ratelimit/statistics.BOUNDS_US, and above


cdef struct NodeCount:           # one worker's view of one node
    uint32_t open                # gauge: connections, idle ones included
    uint32_t connecting          # gauge
    uint64_t attempts
    uint64_t connects
    uint64_t verifies
    uint64_t requests            # complete responses
    uint64_t failures
    uint64_t lastattempt         # epoch seconds, 0: never
    uint64_t lastconnect
    uint64_t lastresponse
    uint64_t bytes_in            # from the node
    uint64_t bytes_out
    uint64_t handed              # requests handed to the node
    uint32_t codes[500]          # responses by status - 100


cdef struct NodeOutcome:         # one worker's view of how a node does; dense, since it is sampled often
    uint64_t good                # final responses that count as success
    uint64_t bad                 # those that do not, and failures to get one
    uint64_t spent_us            # the sum of the good ones' times to the first byte
    uint64_t latency_ns          # their decaying peak, see board_timed; 0: none measured
    uint64_t measured_us         # when that changed, monotonic
    uint32_t streak              # bad ones since the last good one
    uint32_t pad[5]


cdef struct BudgetMark:          # counters as they stood at a second
    uint64_t requests
    uint64_t resent


cdef struct ServiceCount:        # one worker's view of one service
    uint64_t requests
    uint64_t refused             # answered by us with 4xx or 5xx
    uint64_t retries             # requests sent once more, for whatever reason
    uint64_t resent              # of them those that cost budget
    uint64_t unbudgeted          # retries that the budget forbade
    uint64_t bytes_in            # from clients
    uint64_t bytes_out
    uint64_t accepted
    uint64_t cache_hits          # answered out of the ready table
    uint64_t cache_hops          # sent to the keeper of the page cache
    uint64_t cache_bypasses      # personal: straight to the pool
    uint64_t cache_fallbacks     # hops that the keeper could not take, and the pool did
    uint64_t denied              # its client is on the deny_file; where log_only is on they pass
    uint64_t throttled           # delayed by Throttle, those that log_only let pass included
    uint64_t crowded             # and refused, for too many of their client were delayed
    uint64_t shut_out            # or their client was banned
    uint64_t buckets[BUCKETS]    # requests by the bucket of their visitor, 0: none
    uint64_t strayed             # those that found no place in its pool
    uint64_t responses[6]        # by class, index status // 100
    uint64_t latency[LATENCY_BUCKETS]
    uint64_t latency_us          # their sum
    BudgetMark marks[BUDGET_MARKS]
    uint32_t client_connections  # gauge
    uint32_t in_flight           # gauge
    uint32_t waiting             # gauge: no node connection yet
    uint32_t held                # gauge: those that Throttle delays


cdef struct TopKey:              # who was refused, and at most how often
    uint64_t hash
    uint64_t count
    uint8_t n
    uint8_t text[KEY_BYTES]


cdef struct LimitCount:          # one worker's view of one limit
    uint64_t allowed
    uint64_t near                # of them those with little left
    uint64_t refused             # those of bans included
    uint64_t banned
    uint64_t watched             # would have been, were it no dry run
    uint64_t trouble             # let pass uncounted
    uint64_t served[LEVELS]      # of the first two by the level of the request, where it sheds
    uint64_t shed[LEVELS]
    uint64_t unmetered           # for want of room in its file
    uint64_t decisions[DECISION_BUCKETS]     # in which it had a say, by how long they took
    uint64_t decision_ns         # their sum
    TopKey top[TOP_KEYS]         # by refusals
    TopKey heavy[TOP_KEYS]       # by requests, of those that have no row of their own, see meter.pyx


cdef struct SharedNode:          # requests in flight by worker: each writes its own cell
    uint32_t in_flight[MAX_WORKERS]


cdef struct NodeHold:            # what workers tell each other of a node; apart, because it is seldom written
    uint64_t hold_until_ms       # monotonic; not picked before, unless nothing else is left
    uint64_t noverify_until_ms


cdef enum:
    LANES = 3                    # classes of waiting requests, see queues.pxd


cdef struct QueueCell:           # one worker's queue of one service
    uint32_t count[LANES]
    uint32_t pad
    uint64_t oldest_us[LANES]    # since when the oldest one waits, monotonic; counts if there is one


cdef struct SharedQueue:
    QueueCell cells[MAX_WORKERS]


cdef struct Waiters:             # all that wait in a worker: what is looked at when a place is given back
    uint32_t count[MAX_WORKERS]


cdef struct WorkerBlock:
    ServiceCount services[SERVICE_SLOTS]
    NodeOutcome outcomes[NODE_ROWS]
    NodeCount nodes[NODE_ROWS]
    LimitCount limits[LIMIT_SLOTS]


cdef struct BoardView:           # what the plane holds
    SharedNode* shared
    NodeHold* holds
    SharedQueue* queues          # by slot of the service
    Waiters* waiters
    uint64_t* latest_hold_ms     # none of them is later
    Learned* learned
    WorkerBlock* mine
    WorkerBlock* blocks          # of all workers
    uint32_t worker
    uint32_t workers
    uint32_t seat                # of the worker, in the table of limits


cdef extern from *:
    """
    static const unsigned wsgistack_decision_ns[] = {
        1000, 2000, 5000, 10000, 20000, 50000, 100000, 200000, 500000,
        1000000, 2000000, 5000000, 10000000, 20000000, 50000000, 100000000};
    """
    const uint32_t DECISION_NS "wsgistack_decision_ns" [16]


# GCC's built-ins: the total order of sequential consistency is what the proof at board_take needs.
cdef extern from * nogil:
    """
    #define wsgistack_add(p, n) __atomic_add_fetch(p, n, __ATOMIC_SEQ_CST)
    #define wsgistack_load(p) __atomic_load_n(p, __ATOMIC_SEQ_CST)
    """
    uint32_t atomic_add "wsgistack_add"(uint32_t* p, int n)
    uint32_t atomic_load "wsgistack_load"(const uint32_t* p)


cdef inline uint32_t board_load_now(const BoardView* v, uint32_t slot) noexcept nogil:
    # The same sum, in the one order in which places are taken and given back.
    cdef uint32_t total = 0, i
    for i in range(v.workers):
        total += atomic_load(&v.shared[slot].in_flight[i])
    return total


cdef inline uint32_t board_load(const BoardView* v, uint32_t slot) noexcept nogil:
    # Requests in flight on a node over all workers: exact, because a worker writes only its own cell.
    cdef uint32_t total = 0, i
    for i in range(v.workers):
        total += v.shared[slot].in_flight[i]
    return total


cdef inline int board_take(const BoardView* v, uint32_t slot, uint32_t cap) noexcept nogil:
    # Count a request on a node; 0 if it has `cap` of them already, and nothing is counted.
    #
    # Never above the cap: a worker first counts itself, then sums up, all in the one order that
    # sequential consistency gives.  Of the requests that hold a place, take the one that counted
    # itself last in that order: the others had done so before it summed, and had not left, so its
    # sum was at least their number and one; and it found that to be at most the cap.
    # Two workers that meet at the last place may both step back: the caller tries again.
    # A worker that dies between leaves its own cell alone, which forget_worker clears.
    cdef uint32_t total = 0, i
    cdef uint32_t* cells = v.shared[slot].in_flight
    if cap == 0:
        cells[v.worker] += 1
        return 1
    atomic_add(&cells[v.worker], 1)
    for i in range(v.workers):
        total += atomic_load(&cells[i])
    if total <= cap:
        return 1
    atomic_add(&cells[v.worker], -1)
    return 0


cdef inline void board_give(const BoardView* v, uint32_t slot, int capped) noexcept nogil:
    if capped:
        atomic_add(&v.shared[slot].in_flight[v.worker], -1)
    else:
        v.shared[slot].in_flight[v.worker] -= 1


cdef enum:
    DECAY_US = 5000000           # in which a decaying peak falls half way to the present latency
    SLOWEST_US = 60000000        # a longer time counts as this


cdef inline void board_good(NodeOutcome* o) noexcept nogil:
    o.good += 1
    o.streak = 0


cdef inline void board_bad(NodeOutcome* o) noexcept nogil:
    o.bad += 1
    o.streak += 1


cdef inline void board_timed(NodeOutcome* o, uint64_t now_us, uint64_t us) noexcept nogil:
    # A peak, for a node that becomes slow must be seen at once; but one slow page at most doubles it,
    # or a healthy node would go without work for minutes.  It decays by time, not by requests.
    cdef uint64_t ns = (us if us < SLOWEST_US else SLOWEST_US) * 1000, step, passed
    o.spent_us += us
    if ns == 0:
        ns = 1000
    if o.latency_ns == 0:
        o.latency_ns = ns
    elif ns >= o.latency_ns:
        o.latency_ns = ns if ns < 2 * o.latency_ns else 2 * o.latency_ns
    else:
        passed = now_us - o.measured_us
        if passed > 16 * <uint64_t>DECAY_US:
            passed = 16 * <uint64_t>DECAY_US
        step = (o.latency_ns - ns) * passed // (DECAY_US + passed)
        if step == 0:
            return               # too soon to be seen: the time goes on being counted
        o.latency_ns -= step
    o.measured_us = now_us


cdef inline void board_decided(LimitCount* n, uint64_t took_ns) noexcept nogil:
    # Nearly all decisions take less than a microsecond or two: looked for from the lowest bound on.
    cdef uint32_t i = 0
    while i < DECISION_BUCKETS - 1 and took_ns > DECISION_NS[i]:
        i += 1
    n.decisions[i] += 1
    n.decision_ns += took_ns


cdef class Board:
    cdef readonly int fd
    cdef readonly list wakes     # an eventfd for each worker, if this is where the board was made
    cdef readonly int workers
    cdef readonly LimitTable limits      # None where nobody decides
    cdef readonly ReadyTable ready       # None where no page is kept
    cdef char* mem
    cdef size_t size
    cdef object mapping
    cdef BoardView view(self, int worker)
    cdef WorkerBlock* block(self, int worker)
    cdef SharedNode* shared(self)
    cdef NodeHold* holds(self)
    cdef SharedQueue* queues(self)
    cdef Waiters* waiters(self)
    cdef tuple lane(self, int slot, int lane)
    cdef Learned* learned(self)
    cdef seed(self, bytes random)
    cdef outcome(self, int slot, bint held)
