"""Choosing a node: candidates first, then one of the compiled kernels.

balancer/algorithms/*.py define the algorithms; a kernel here must give the same choice for
the same loads, weights, state and draws (tests/contracts/test_algorithms.py compares them).
A file without a kernel is called as Python, which costs about a microsecond a request.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, malloc

from wsgistack.balancer.plane.board cimport NODE_SLOTS, board_load
from wsgistack.balancer.plane.core cimport Core, Member, Node, Pool, core_random

cdef enum:
    MAX_CANDIDATES = NODE_SLOTS

# The candidates of the pick at hand; one thread, nothing of it outlives the call.
cdef uint32_t count
cdef uint32_t total_weight
cdef Node* nodes[MAX_CANDIDATES]
cdef uint32_t weights[MAX_CANDIDATES]
cdef uint32_t loads[MAX_CANDIDATES]


ctypedef uint64_t (*Draw)(void* source, uint64_t below) noexcept nogil


cdef uint64_t draw_random(void* source, uint64_t below) noexcept nogil:
    return core_random(<Core*>source) % below


cdef uint32_t draw_by_weight(Draw draw, void* source, uint32_t without) noexcept nogil:
    # An index by weight, `without` left out (count: none is).
    cdef uint64_t left = total_weight - (weights[without] if without < count else 0)
    cdef uint64_t ticket = draw(source, left)
    cdef uint32_t i
    for i in range(count):
        if i == without:
            continue
        if ticket < weights[i]:
            return i
        ticket -= weights[i]
    return 0


cdef uint32_t two_choices(Draw draw, void* source) noexcept nogil:
    cdef uint32_t a, b
    if count == 1:
        return 0
    a = draw_by_weight(draw, source, count)
    b = draw_by_weight(draw, source, a)
    if <uint64_t>loads[b] * weights[a] < <uint64_t>loads[a] * weights[b]:
        return b
    return a


cdef uint32_t least(uint64_t* state) noexcept nogil:
    # Ties go round, so that an idle pool is not served by its first node alone.
    cdef uint32_t best, i, k
    cdef uint32_t start = <uint32_t>(state[0] % count)
    state[0] += 1
    best = start
    for k in range(1, count):
        i = start + k
        if i >= count:
            i -= count
        if <uint64_t>(loads[i] + 1) * weights[best] < <uint64_t>(loads[best] + 1) * weights[i]:
            best = i
    return best


cdef uint64_t gcd(uint64_t a, uint64_t b) noexcept nogil:
    cdef uint64_t rest
    while b:
        rest = a % b
        a = b
        b = rest
    return a


cdef uint32_t round_robin(uint64_t* state) noexcept nogil:
    # A round has total_weight turns, each node owning as many as its weight. Unequal weights are
    # walked in strides near the golden ratio, which spreads a heavy node's turns over the round.
    cdef uint64_t turn = state[0] % total_weight, stride
    cdef uint32_t i
    state[0] += 1
    if total_weight == count:
        return <uint32_t>turn
    stride = <uint64_t>total_weight * 618 // 1000
    while stride > 1 and gcd(stride, total_weight) != 1:
        stride -= 1
    turn = turn * (stride if stride else 1) % total_weight
    for i in range(count):
        if turn < weights[i]:
            return i
        turn -= weights[i]
    return 0


cdef uint32_t run_kernel(int kernel, uint64_t* state, Draw draw, void* source) noexcept nogil:
    if count == 1:
        if kernel == KERNEL_ROUND_ROBIN or kernel == KERNEL_LEAST:
            state[0] += 1
        return 0
    if kernel == KERNEL_TWO_CHOICES:
        return two_choices(draw, source)
    if kernel == KERNEL_LEAST:
        return least(state)
    if kernel == KERNEL_ROUND_ROBIN:
        return round_robin(state)
    return draw_by_weight(draw, source, count)


cdef int was_tried(Node* node, void** tried, int n) noexcept nogil:
    cdef int i
    for i in range(n):
        if tried[i] == node:
            return 1
    return 0


cdef void gather(Core* core, Pool* pool, void** tried, int n_tried, int held) noexcept nogil:
    global count, total_weight
    cdef uint32_t i
    cdef Member* m
    count = 0
    total_weight = 0
    for i in range(pool.n):
        m = &pool.members[i]
        if not m.up or not m.node.connectable:
            continue
        if not held and core.board.holds[m.node.slot].hold_until_ms > core.now_ms:
            continue
        if n_tried and was_tried(m.node, tried, n_tried):
            continue
        nodes[count] = m.node
        weights[count] = m.weight
        loads[count] = board_load(&core.board, m.node.slot)
        total_weight += m.weight
        count += 1


cdef uint32_t python_pick(Core* core, Pool* pool) noexcept with gil:
    cdef uint32_t i
    try:
        chosen, state = (<object>pool.algorithm)(
            [loads[i] for i in range(count)], [weights[i] for i in range(count)], pool.state,
            lambda below: core_random(core) % <uint64_t>below)
        pool.state = <uint64_t>state
        if 0 <= chosen < count:
            return chosen
    except Exception:            # a faulty plug-in must not stop the service; random is always right enough
        pass
    return draw_by_weight(draw_random, core, count)


cdef Node* pick_node(Core* core, Pool* pool, void** tried, int n_tried) noexcept nogil:
    # The breaker judges requests, not their repetitions.
    if pool.admits < 100 and n_tried == 0 and core_random(core) % 100 >= pool.admits:
        return NULL
    gather(core, pool, tried, n_tried, 0)
    if count == 0:
        gather(core, pool, tried, n_tried, 1)
        if count == 0:
            return NULL
    if pool.kernel == KERNEL_PYTHON:
        return nodes[python_pick(core, pool)]
    return nodes[run_kernel(pool.kernel, &pool.state, draw_random, core)]


KERNELS = {
    "random": KERNEL_RANDOM,
    "round_robin": KERNEL_ROUND_ROBIN,
    "least": KERNEL_LEAST,
    "two_choices": KERNEL_TWO_CHOICES,
}


cdef uint64_t draw_python(void* source, uint64_t below) noexcept with gil:
    return (<object>source)(below)


def run(kernel: str, loads_in, weights_in, state: int, draw) -> tuple:
    """Run one kernel on given candidates, for the contract test: return (index, new state)."""
    global count, total_weight
    cdef uint32_t i
    cdef uint64_t after = state
    count = len(loads_in)
    total_weight = sum(weights_in)
    for i in range(count):
        loads[i] = loads_in[i]
        weights[i] = weights_in[i]
    chosen = run_kernel(KERNELS[kernel], &after, draw_python, <void*>draw)
    return chosen, after
