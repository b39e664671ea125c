"""Choosing a node, and taking a place on it.

Who may take a request, in this order; the algorithm chooses within the first group that has somebody:

1. the nodes of the pool that are up and in reach, were not tried by this request, and are held by no worker;
2. the backups of which the same holds;
3. and 4. those of 1 and 2 that are held: they may have recovered, and nobody else is left.

A group whose nodes are merely full makes the request wait; it does not go on to the next group.  A node
that drains takes only requests that stick to it; a session whose node cannot take it is balanced.

A pool without held nodes or slow starts, and a request without tried nodes, is the normal case: its
candidates are the same for every request and stand ready (prepare_pool), so that a choice of two
costs the same in any pool.
"""

from libc.stdint cimport uint32_t, uint64_t

from wsgistack.balancer.plane.board cimport NODE_SLOTS, board_give, board_load_now, board_take
from wsgistack.balancer.plane.core cimport Core, Member, Node, Pool, core_random
from wsgistack.balancer.plane.exchange cimport Exchange
from wsgistack.balancer.plane.kernels cimport (
    KERNEL_PYTHON,
    NOWHERE,
    Columns,
    Slate,
    columns_add,
    latency_of,
    load_of,
    rest_of,
    run_kernel,
)

from wsgistack.balancer.algorithms import Candidates

cdef enum:
    MOST = NODE_SLOTS
    WARM_SCALE = 256             # balancer/warming.py, as the next one
    WARM_LEAST = 26
    RACES = 8                    # lost against other workers before the request is taken to be late

# The choice at hand; one thread, nothing of it outlives the call.
cdef Slate slate
cdef uint32_t places[MOST]
cdef uint32_t slots[MOST]
cdef uint32_t weights[MOST]
cdef uint32_t index_of[MOST]


cdef uint64_t draw_random(void* source, uint64_t below) noexcept nogil:
    return core_random(<Core*>source) % below


cdef void columns_clear(Columns* c, const Pool* pool) noexcept nogil:
    cdef uint32_t i
    c.count = 0
    c.total_weight = 0
    if pool.keyed:
        for i in range(pool.n):
            c.index_of[i] = NOWHERE


cdef void prepare_pool(Pool* pool) noexcept nogil:
    cdef uint32_t i
    cdef Member* m
    pool.capped = 0
    pool.warm_until_ms = 0
    columns_clear(&pool.ready, pool)
    for i in range(pool.n):
        m = &pool.members[i]
        pool.capped |= m.cap > 0
        if m.warm_from_ms and m.warm_from_ms + pool.slow_start_ms > pool.warm_until_ms:
            pool.warm_until_ms = m.warm_from_ms + pool.slow_start_ms
        if m.usable and not m.draining and not m.backup:
            columns_add(&pool.ready, i, m.node.slot, m.weight)


cdef int was_tried(const Node* node, const Exchange* ex) noexcept nogil:
    cdef int i
    for i in range(ex.n_tried):
        if ex.tried[i] == node:
            return 1
    return 0


cdef inline int is_held(Core* core, const Member* m) noexcept nogil:
    return core.board.holds[m.node.slot].hold_until_ms > core.now_ms


cdef inline int is_full(Core* core, const Member* m) noexcept nogil:
    return m.cap and board_load_now(&core.board, m.node.slot) >= m.cap


cdef uint32_t warm_weight(const Member* m, const Pool* pool, uint64_t now_ms) noexcept nogil:
    cdef uint64_t passed = now_ms - m.warm_from_ms if now_ms > m.warm_from_ms else 0
    cdef uint64_t least = m.weight * WARM_LEAST, weight = m.weight * WARM_SCALE
    if m.warm_from_ms and passed < pool.slow_start_ms:
        weight = weight * passed // pool.slow_start_ms
        if weight < least:
            weight = least
    return <uint32_t>weight


cdef int gather(Core* core, Pool* pool, const Exchange* ex, int backup, int held) noexcept nogil:
    # Fill the slate with one group; return how many of it are only full.
    cdef Member* m
    cdef uint32_t i
    cdef int full = 0, warming = core.now_ms < pool.warm_until_ms
    columns_clear(&slate.of, pool)
    for i in range(pool.n):
        m = &pool.members[i]
        if not m.usable or m.draining or m.backup != backup or is_held(core, m) != held:
            continue
        if ex.n_tried and was_tried(m.node, ex):
            continue
        if is_full(core, m):
            full += 1
            continue
        columns_add(&slate.of, i, m.node.slot, warm_weight(m, pool, core.now_ms) if warming else m.weight)
    return full


cdef int fill_slate(Core* core, Pool* pool, const Exchange* ex, int with_caps) noexcept nogil:
    cdef int held, backup, full
    if (pool.ready.count and not with_caps and not ex.n_tried
            and core.board.latest_hold_ms[0] <= core.now_ms and pool.warm_until_ms <= core.now_ms):
        slate.of = pool.ready
        return FOUND_NODE
    slate.of.places, slate.of.slots = &places[0], &slots[0]
    slate.of.weights, slate.of.index_of = &weights[0], &index_of[0]
    for held in range(2):
        for backup in range(2):
            full = gather(core, pool, ex, backup, held)
            if slate.of.count:
                return FOUND_NODE
            if full:
                return FOUND_FULL
    return FOUND_NONE


cdef uint32_t choose(Core* core, Pool* pool, const Exchange* ex) noexcept nogil:
    slate.board = &core.board
    slate.now_us = core.now_us
    slate.key = ex.key
    slate.has_key = ex.has_key
    slate.most_percent = pool.most_percent
    slate.ring = &pool.ring
    if pool.kernel == KERNEL_PYTHON:
        return python_pick(core, pool)
    return run_kernel(pool.kernel, &slate, &pool.state, draw_random, core)


cdef class Draw:
    """What an algorithm in Python draws numbers with."""

    cdef Core* core

    def __call__(self, below):
        return core_random(self.core) % <uint64_t>below


cdef Draw make_draw(Core* core):
    cdef Draw draw = Draw()
    draw.core = core
    return draw


cdef uint32_t python_pick(Core* core, Pool* pool) noexcept with gil:
    cdef uint32_t i, n = slate.of.count
    try:
        nodes = Candidates(
            [load_of(&slate, i) for i in range(n)], [slate.of.weights[i] for i in range(n)],
            [latency_of(&slate, i) for i in range(n)], [rest_of(&slate, i) for i in range(n)],
            [slate.of.places[i] for i in range(n)], slate.key if slate.has_key else None,
            [pool.ring.points[i] for i in range(pool.ring.n)], [pool.ring.owners[i] for i in range(pool.ring.n)],
            pool.most_percent)
        chosen, state = (<object>pool.algorithm)(nodes, pool.state, make_draw(core))
        pool.state = <uint64_t>state
        if 0 <= chosen < n:
            return chosen
    except Exception:            # a faulty plug-in must not stop the service; random is always right enough
        pass
    return <uint32_t>(core_random(core) % n)


cdef Member* preferred(Core* core, Pool* pool, const Exchange* ex) noexcept nogil:
    cdef Member* m
    cdef uint32_t i
    for i in range(pool.n):
        m = &pool.members[i]
        if m.node == ex.sticky_node:
            if m.usable and not is_held(core, m) and not is_full(core, m) and not was_tried(m.node, ex):
                return m
            return NULL
    return NULL


cdef int take_place(Core* core, Pool* pool, const Exchange* ex, Node** node) noexcept nogil:
    cdef Member* m
    cdef int i, found
    for i in range(RACES):
        m = preferred(core, pool, ex) if ex.sticky_node != NULL else NULL
        if m == NULL:
            # Most nodes have room most of the time: only when the first choice has none, all are looked at.
            found = fill_slate(core, pool, ex, i > 0)
            if found != FOUND_NODE:
                return found
            m = &pool.members[slate.of.places[choose(core, pool, ex)]]
        if not is_full(core, m) and board_take(&core.board, m.node.slot, m.cap):
            node[0] = m.node
            return FOUND_NODE
    return FOUND_FULL


cdef void give_place(Core* core, Node* node) noexcept nogil:
    board_give(&core.board, node.slot, node.capped)
    core.freed |= node.capped


cdef int pool_has_room(Core* core, const Pool* pool) noexcept nogil:
    cdef const Member* m
    cdef uint32_t i
    cdef int backup, met = 0
    if pool == NULL:
        return 1
    for backup in range(2):
        for i in range(pool.n):
            m = &pool.members[i]
            if m.usable and not m.draining and m.backup == backup and not is_held(core, m):
                met = 1
                if not is_full(core, m):
                    return 1
        if met:
            return 0
    return 1


cdef int pool_is_free(Core* core, const Pool* pool) noexcept nogil:
    cdef const Member* m
    cdef uint32_t i
    for i in range(pool.n):
        m = &pool.members[i]
        if m.usable and not m.draining and not is_held(core, m) and not is_full(core, m):
            return 1
    return 0


cdef int has_other(const Pool* pool, const Exchange* ex) noexcept nogil:
    cdef const Member* m
    cdef uint32_t i
    for i in range(pool.n):
        m = &pool.members[i]
        if m.usable and not m.draining and m.node != ex.node and not was_tried(m.node, ex):
            return 1
    return 0
