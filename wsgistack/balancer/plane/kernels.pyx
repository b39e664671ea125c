"""The compiled kernels of balancer/algorithms, which say what each of them is for.

A kernel gives the same choice for the same candidates, state and draws as its twin there
(tests/contracts/test_algorithms.py compares them).  It asks the scoreboard only about the nodes that it
looks at: the loads of two nodes are two sums over the workers, whatever the size of the pool.
"""

from libc.stdint cimport uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc

from wsgistack.balancer.plane.board cimport NODE_SLOTS, NodeOutcome, board_load

cdef enum:
    PROBE_MS = 1000              # algorithms/peak_ewma.py
    LONGEST_REST_MS = 1000000000


cdef void columns_add(Columns* c, uint32_t place, uint32_t slot, uint32_t weight) noexcept nogil:
    c.places[c.count] = place
    c.slots[c.count] = slot
    c.weights[c.count] = weight
    c.index_of[place] = c.count
    c.even = c.count == 0 or (c.even and weight == c.weights[0])
    c.total_weight += weight
    c.count += 1


cdef uint32_t load_of(const Slate* s, uint32_t i) noexcept nogil:
    return s.loads[i] if s.loads != NULL else board_load(s.board, s.of.slots[i])


cdef uint32_t latency_of(const Slate* s, uint32_t i) noexcept nogil:
    if s.latencies_us != NULL:
        return s.latencies_us[i]
    cdef const NodeOutcome* o = &s.board.mine.outcomes[s.of.slots[i]]
    return <uint32_t>((o.latency_ns + 999) // 1000)


cdef uint32_t rest_of(const Slate* s, uint32_t i) noexcept nogil:
    if s.rested_ms != NULL:
        return s.rested_ms[i]
    cdef uint64_t ms = (s.now_us - s.board.mine.outcomes[s.of.slots[i]].measured_us) // 1000
    return <uint32_t>ms if ms < LONGEST_REST_MS else LONGEST_REST_MS


cdef uint32_t draw_by_weight(const Slate* s, Draw draw, void* source, uint32_t without) noexcept nogil:
    # An index by weight, `without` left out (count: none is).
    cdef const Columns* c = &s.of
    cdef uint64_t ticket = draw(source, c.total_weight - (c.weights[without] if without < c.count else 0))
    cdef uint32_t i
    if c.even:
        i = <uint32_t>(ticket // c.weights[0])
        return i + 1 if i >= without else i
    for i in range(c.count):
        if i == without:
            continue
        if ticket < c.weights[i]:
            return i
        ticket -= c.weights[i]
    return 0


cdef uint32_t two_choices(const Slate* s, Draw draw, void* source) noexcept nogil:
    cdef uint32_t a = draw_by_weight(s, draw, source, s.of.count)
    cdef uint32_t b = draw_by_weight(s, draw, source, a)
    if <uint64_t>load_of(s, b) * s.of.weights[a] < <uint64_t>load_of(s, a) * s.of.weights[b]:
        return b
    return a


cdef uint32_t peak_ewma(const Slate* s, Draw draw, void* source) noexcept nogil:
    cdef uint32_t a = draw_by_weight(s, draw, source, s.of.count)
    cdef uint32_t b = draw_by_weight(s, draw, source, a)
    cdef uint64_t load_a = load_of(s, a), load_b = load_of(s, b)
    cdef uint64_t latency_a = latency_of(s, a), latency_b = latency_of(s, b)
    cdef int b_wins
    # 26 bits of latency, 16 of weight, 20 of load: no overflow.
    if latency_a and latency_b:
        b_wins = latency_b * (load_b + 1) * s.of.weights[a] < latency_a * (load_a + 1) * s.of.weights[b]
    else:
        b_wins = load_b * s.of.weights[a] < load_a * s.of.weights[b]
    if b_wins:
        return a if load_a == 0 and rest_of(s, a) >= PROBE_MS else b
    return b if load_b == 0 and rest_of(s, b) >= PROBE_MS else a


cdef uint32_t least(const Slate* s, uint64_t* state) noexcept nogil:
    # Ties go round, so that an idle pool is not served by its first node alone.
    cdef uint32_t count = s.of.count, best, i, k
    cdef uint64_t load, lowest
    best = <uint32_t>(state[0] % count)
    i = best
    lowest = load_of(s, best) + 1
    state[0] += 1
    for k in range(1, count):
        i += 1
        if i >= count:
            i = 0
        load = load_of(s, i) + 1
        if load * s.of.weights[best] < lowest * s.of.weights[i]:
            best = i
            lowest = load
    return best


cdef uint64_t gcd(uint64_t a, uint64_t b) noexcept nogil:
    cdef uint64_t rest
    while b:
        rest = a % b
        a = b
        b = rest
    return a


cdef uint32_t round_robin(const Slate* s, uint64_t* state) noexcept nogil:
    # A round has total_weight turns, each node owning as many as its weight. Unequal weights are
    # walked in strides near the golden ratio, which spreads a heavy node's turns over the round.
    cdef uint64_t total = s.of.total_weight, turn = state[0] % total, stride
    cdef uint32_t i
    state[0] += 1
    if total == s.of.count:
        return <uint32_t>turn
    stride = total * 618 // 1000
    while stride > 1 and gcd(stride, total) != 1:
        stride -= 1
    turn = turn * (stride if stride else 1) % total
    for i in range(s.of.count):
        if turn < s.of.weights[i]:
            return i
        turn -= s.of.weights[i]
    return 0


cdef uint32_t first_point_after(const Ring* ring, uint32_t key) noexcept nogil:
    cdef uint32_t low = 0, high = ring.n, middle
    while low < high:
        middle = (low + high) // 2
        if key < ring.points[middle]:
            high = middle
        else:
            low = middle + 1
    return low


cdef uint64_t total_load(const Slate* s) noexcept nogil:
    cdef uint64_t total = 0
    cdef uint32_t i
    for i in range(s.of.count):
        total += load_of(s, i)
    return total


cdef uint32_t consistent(const Slate* s, Draw draw, void* source) noexcept nogil:
    cdef const Ring* ring = s.ring
    cdef uint32_t key = s.key if s.has_key else <uint32_t>draw(source, <uint64_t>1 << 32)
    cdef uint32_t at, i, k
    cdef uint64_t bound = 0
    if ring == NULL or ring.n == 0:
        return 0
    if s.most_percent:
        bound = s.most_percent * (total_load(s) + 1)
    at = first_point_after(ring, key)
    for k in range(ring.n):
        if at >= ring.n:
            at = 0
        i = s.of.index_of[ring.owners[at]]
        at += 1
        if i == NOWHERE:
            continue
        # Its load with this request, for its weight, is at most most_percent of everybody's.
        if bound == 0 or load_of(s, i) * 100 * s.of.total_weight < bound * s.of.weights[i]:
            return i
    return 0


cdef uint32_t run_kernel(int kernel, Slate* s, uint64_t* state, Draw draw, void* source) noexcept nogil:
    if s.of.count == 1:
        if kernel == KERNEL_ROUND_ROBIN or kernel == KERNEL_LEAST:
            state[0] += 1
        return 0
    if kernel == KERNEL_TWO_CHOICES:
        return two_choices(s, draw, source)
    if kernel == KERNEL_PEAK_EWMA:
        return peak_ewma(s, draw, source)
    if kernel == KERNEL_LEAST:
        return least(s, state)
    if kernel == KERNEL_ROUND_ROBIN:
        return round_robin(s, state)
    if kernel == KERNEL_CONSISTENT:
        return consistent(s, draw, source)
    if kernel == KERNEL_FIRST:
        return 0
    return draw_by_weight(s, draw, source, s.of.count)


KERNELS = {
    "random": KERNEL_RANDOM,
    "round_robin": KERNEL_ROUND_ROBIN,
    "least": KERNEL_LEAST,
    "two_choices": KERNEL_TWO_CHOICES,
    "peak_ewma": KERNEL_PEAK_EWMA,
    "consistent": KERNEL_CONSISTENT,
    "first": KERNEL_FIRST,
}


# -- the face for tests --------------------------------------------------------------------

cdef uint64_t draw_python(void* source, uint64_t below) noexcept with gil:
    return (<object>source)(below)


cdef struct Room:                # for one slate, its numbers given by a test
    uint32_t places[NODE_SLOTS]
    uint32_t slots[NODE_SLOTS]
    uint32_t weights[NODE_SLOTS]
    uint32_t index_of[NODE_SLOTS]
    uint32_t loads[NODE_SLOTS]
    uint32_t latencies_us[NODE_SLOTS]
    uint32_t rested_ms[NODE_SLOTS]


def run(kernel: str, nodes, state: int, draw) -> tuple:
    """Run one kernel on given Candidates, for the contract test: return (index, new state)."""
    cdef Slate s
    cdef Ring ring
    cdef uint64_t after = state
    cdef uint32_t i
    cdef Room* room = <Room*>malloc(sizeof(Room))
    ring.n = len(nodes.points)
    ring.points = <uint32_t*>malloc(sizeof(uint32_t) * (ring.n + 1))
    ring.owners = <uint16_t*>malloc(sizeof(uint16_t) * (ring.n + 1))
    try:
        for i in range(ring.n):
            ring.points[i] = nodes.points[i]
            ring.owners[i] = nodes.owners[i]
        for i in range(NODE_SLOTS):
            room.index_of[i] = NOWHERE
        s.of.count = 0
        s.of.total_weight = 0
        s.of.places, s.of.slots = &room.places[0], &room.slots[0]
        s.of.weights, s.of.index_of = &room.weights[0], &room.index_of[0]
        for i, weight in enumerate(nodes.weights):
            columns_add(&s.of, nodes.places[i] if nodes.places else i, 0, weight)
            room.loads[i] = nodes.loads[i]
            room.latencies_us[i] = nodes.latencies_us[i] if nodes.latencies_us else 0
            room.rested_ms[i] = nodes.rested_ms[i] if nodes.rested_ms else 0
        s.loads, s.latencies_us, s.rested_ms = &room.loads[0], &room.latencies_us[0], &room.rested_ms[0]
        s.has_key = nodes.key is not None
        s.key = nodes.key or 0
        s.most_percent = nodes.most_percent
        s.ring = &ring
        chosen = run_kernel(KERNELS[kernel], &s, &after, draw_python, <void*>draw)
    finally:
        free(room)
        free(ring.points)
        free(ring.owners)
    return chosen, after
