# The scoreboard: counters of all workers in one shared mapping.

from libc.stdint cimport uint32_t, uint64_t

cdef enum:
    NODE_SLOTS = 1024
    SERVICE_SLOTS = 64
    MAX_WORKERS = 64
    LATENCY_BUCKETS = 64         # bucket i counts requests of [2**(i/2), 2**((i+1)/2)) microseconds


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


cdef struct ServiceCount:        # one worker's view of one service
    uint64_t requests
    uint64_t refused             # answered by us with 4xx or 5xx
    uint64_t retries
    uint64_t bytes_in            # from clients
    uint64_t bytes_out
    uint64_t accepted
    uint64_t responses[6]        # by class, index status // 100
    uint64_t latency[LATENCY_BUCKETS]
    uint32_t client_connections  # gauge
    uint32_t in_flight           # gauge
    uint32_t waiting             # gauge: no node connection yet
    uint32_t pad


cdef struct SharedNode:          # what workers tell each other of a node
    uint64_t hold_until_ms       # monotonic; not picked before, unless nothing else is left
    uint64_t noverify_until_ms
    uint32_t in_flight[MAX_WORKERS]


cdef struct WorkerBlock:
    ServiceCount services[SERVICE_SLOTS]
    NodeCount nodes[NODE_SLOTS]


cdef struct BoardView:           # what the plane holds
    SharedNode* shared
    WorkerBlock* mine
    uint32_t worker
    uint32_t workers


cdef inline uint32_t board_load(const BoardView* v, uint32_t slot) noexcept nogil:
    # Requests in flight on a node over all workers: exact, because a worker writes only its own cell.
    cdef uint32_t total = 0, i
    for i in range(v.workers):
        total += v.shared[slot].in_flight[i]
    return total


cdef class Board:
    cdef readonly int fd
    cdef readonly int workers
    cdef char* mem
    cdef size_t size
    cdef object mapping
    cdef BoardView view(self, int worker)
    cdef WorkerBlock* block(self, int worker)
    cdef SharedNode* shared(self)
