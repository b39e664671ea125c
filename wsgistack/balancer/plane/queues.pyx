"""Requests that wait because every node has as many as it may.

Each service has three queues in each worker: high, normal and low.  Within one, the oldest is
first.  The scoreboard shows the others how many wait in each and since when the oldest does.

A place that is given back in any worker belongs to the request whose turn it is in all of them.  If
that waits in another worker, its eventfd is written to, and the place is left alone; if it is ours, or
hardly younger (SLACK_US), it takes the place.  Nobody who arrives later passes by.

No wake-up is lost: who enters first shows itself, then looks for a place once more (core.freed); who
gives a place back does so first, then looks for who waits, all in one order (board.pxd).  What could
go wrong all the same (the other worker died, or is stuck) is mended by the next tick, when each
worker serves its own.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcmp

from wsgistack.balancer.plane.board cimport LANES, MAX_WORKERS, SERVICE_SLOTS, QueueCell, atomic_add, atomic_load
from wsgistack.balancer.plane.core cimport KIND_WAKE, Client, Core, Lane, Mark, Service, core_random
from wsgistack.balancer.plane.exchange cimport Exchange
from wsgistack.balancer.plane.keys cimport find_cookie_sent
from wsgistack.balancer.plane.message cimport Head
from wsgistack.balancer.plane.pick cimport pool_has_room, pool_is_free

cdef enum:
    SLACK_US = 5000              # by which a worker's own request may be younger: a wake-up each would cost more
    MOST_DECODED = 1024          # of a cookie's value
    MOST_ASKED = 8               # of a queue, when the first ones have tried the node that is free
    NOBODY = -1


# -- classes -------------------------------------------------------------------------------

cdef int hex_digit(char c) noexcept nogil:
    if c"0" <= c <= c"9":
        return c - c"0"
    c |= 32
    return c - c"a" + 10 if c"a" <= c <= c"f" else -1


cdef uint32_t url_decode(const char* p, uint32_t n, char* out) noexcept nogil:
    # As Perlbal's: %XX and +; what is no escape stays as it is.
    cdef uint32_t i = 0, size = 0
    while i < n and size < MOST_DECODED:
        if p[i] == c"%" and i + 2 < n and hex_digit(p[i + 1]) >= 0 and hex_digit(p[i + 2]) >= 0:
            out[size] = <char>(hex_digit(p[i + 1]) * 16 + hex_digit(p[i + 2]))
            i += 2
        else:
            out[size] = c" " if p[i] == c"+" else p[i]
        i += 1
        size += 1
    return size


cdef int contains(const char* p, uint32_t n, const char* text, uint32_t size) noexcept nogil:
    cdef uint32_t i = 0
    while i + size <= n:
        if memcmp(p + i, text, size) == 0:
            return 1
        i += 1
    return 0


cdef int is_marked(const Mark* mark, const Head* h, const char* p) noexcept nogil:
    cdef char decoded[MOST_DECODED]
    cdef uint32_t size = 0
    cdef const char* value
    if mark.name_len == 0:
        return 0
    value = find_cookie_sent(h, p, mark.name, mark.name_len, &size)
    if value == NULL:
        return 0
    size = url_decode(value, size, decoded)
    return contains(decoded, size, mark.contents, mark.contents_len)


cdef void queue_class(Client* c, const Head* h, const char* p) noexcept nogil:
    if is_marked(&c.service.high, h, p):
        c.ex.lane = LANE_HIGH
    elif is_marked(&c.service.low, h, p):
        c.ex.lane = LANE_LOW


# -- coming and going ----------------------------------------------------------------------

cdef inline QueueCell* cell_of(Core* core, const Service* s, uint32_t worker) noexcept nogil:
    return &core.board.queues[s.slot].cells[worker]


cdef uint32_t count_waiting(Core* core, const Service* s, uint32_t* by_lane) noexcept nogil:
    cdef uint32_t w, lane, n, total = 0
    for lane in range(LANES):
        by_lane[lane] = 0
        for w in range(core.board.workers):
            n = atomic_load(&cell_of(core, s, w).count[lane])
            by_lane[lane] += n
            total += n
    return total


cdef int anybody_waits(Core* core) noexcept nogil:
    cdef uint32_t w
    for w in range(core.board.workers):
        if atomic_load(&core.board.waiters.count[w]):
            return 1
    return 0


cdef int queue_is_ahead(Core* core, const Service* service) noexcept nogil:
    cdef uint32_t slot
    cdef uint32_t by_lane[LANES]
    cdef const Service* s
    if not anybody_waits(core):
        return 0
    for slot in range(SERVICE_SLOTS):
        s = core.services[slot]
        if s != NULL and s.pool == service.pool and count_waiting(core, s, by_lane):
            return 1
    return 0


cdef void show_oldest(Core* core, Service* s, int lane) noexcept nogil:
    if s.lanes[lane].head != NULL:
        cell_of(core, s, core.board.worker).oldest_us[lane] = s.lanes[lane].head.queued_us


cdef void link_by_age(Lane* lane, Exchange* ex) noexcept nogil:
    # A new one is the youngest; one that waits again, after a failure, keeps its age.
    cdef Exchange* before = lane.tail
    while before != NULL and before.queued_us > ex.queued_us:
        before = before.queue_prev
    ex.queue_prev = before
    ex.queue_next = before.queue_next if before != NULL else lane.head
    if before != NULL:
        before.queue_next = ex
    else:
        lane.head = ex
    if ex.queue_next != NULL:
        ex.queue_next.queue_prev = ex
    else:
        lane.tail = ex
    lane.n += 1


cdef void unlink(Lane* lane, Exchange* ex) noexcept nogil:
    if ex.queue_prev != NULL:
        ex.queue_prev.queue_next = ex.queue_next
    else:
        lane.head = ex.queue_next
    if ex.queue_next != NULL:
        ex.queue_next.queue_prev = ex.queue_prev
    else:
        lane.tail = ex.queue_prev
    ex.queue_next = NULL
    ex.queue_prev = NULL
    lane.n -= 1


cdef int queue_is_over(const Core* core, const Exchange* ex) noexcept nogil:
    return ex.queue_until_ms != 0 and ex.queue_until_ms <= core.now_ms


cdef int queue_enter(Client* c) noexcept nogil:
    cdef Core* core = c.ep.core
    cdef Service* s = c.service
    cdef Exchange* ex = c.ex
    cdef QueueCell* mine = cell_of(core, s, core.board.worker)
    cdef uint32_t by_lane[LANES]
    if ex.queue_until_ms == 0:
        ex.queued_us = core.now_us
        ex.queue_until_ms = core.now_ms + s.queue_ms
    if s.lanes[ex.lane].head == NULL:
        mine.oldest_us[ex.lane] = ex.queued_us
    # Counted first, then summed up: never more than queue_size over all workers, as at board_take.
    atomic_add(&mine.count[ex.lane], 1)
    if count_waiting(core, s, by_lane) > s.queue_size:
        atomic_add(&mine.count[ex.lane], -1)
        return 0
    atomic_add(&core.board.waiters.count[core.board.worker], 1)
    ex.queued = 1
    link_by_age(&s.lanes[ex.lane], ex)
    show_oldest(core, s, ex.lane)
    core.board.mine.services[s.slot].waiting += 1
    core.freed = 1
    return 1


cdef void queue_leave(Client* c) noexcept nogil:
    cdef Core* core = c.ep.core
    cdef Service* s = c.service
    cdef Exchange* ex = c.ex
    if not ex.queued:
        return
    ex.queued = 0
    unlink(&s.lanes[ex.lane], ex)
    show_oldest(core, s, ex.lane)
    atomic_add(&cell_of(core, s, core.board.worker).count[ex.lane], -1)
    atomic_add(&core.board.waiters.count[core.board.worker], -1)
    core.board.mine.services[s.slot].waiting -= 1
    core.left += 1
    # A turn that was given to it and not used is somebody else's.
    core.freed = 1


# -- whose turn ----------------------------------------------------------------------------

cdef int choose_lane(Core* core, const Service* s, int only_ours) noexcept nogil:
    cdef uint32_t by_lane[LANES]
    cdef uint32_t ours[LANES]
    cdef int lane
    cdef int relief = 0
    if count_waiting(core, s, by_lane) == 0:
        return NOBODY
    # Perlbal's: with so many normal ones waiting, a normal one goes first by chance.
    if s.relief_size and by_lane[LANE_NORMAL] >= s.relief_size:
        relief = core_random(core) % 100 < s.relief_chance
    for lane in range(LANES):
        ours[lane] = s.lanes[lane].n if only_ours else by_lane[lane]
    if ours[LANE_HIGH] and not (relief and ours[LANE_NORMAL]):
        return LANE_HIGH
    if ours[LANE_NORMAL]:
        return LANE_NORMAL
    if ours[LANE_LOW]:
        return LANE_LOW
    return NOBODY


cdef uint64_t find_oldest(Core* core, const Service* s, int lane, int only_ours, uint32_t* worker) noexcept nogil:
    cdef uint32_t w, me = core.board.worker
    cdef uint64_t oldest = <uint64_t>-1, ours = <uint64_t>-1
    cdef const Exchange* head = s.lanes[lane].head
    worker[0] = me
    if head != NULL:
        ours = head.queued_us
    if only_ours:
        return ours
    for w in range(core.board.workers):
        if w != me and atomic_load(&cell_of(core, s, w).count[lane]) and cell_of(core, s, w).oldest_us[lane] < oldest:
            oldest = cell_of(core, s, w).oldest_us[lane]
            worker[0] = w
    if head != NULL and (oldest == <uint64_t>-1 or ours <= oldest + SLACK_US):
        worker[0] = me
        return ours
    return oldest


cdef int give_turn(Core* core, Service* s, int lane) noexcept nogil:
    # The first ones may have tried the node that is free: then those behind them are asked.
    cdef Exchange* ex = s.lanes[lane].head
    cdef Exchange* following
    cdef uint32_t before = core.left
    cdef int i
    for i in range(MOST_ASKED):
        if ex == NULL:
            return 0
        following = ex.queue_next
        ex.turn = 1
        core.client_step(<Client*>ex.client)
        if core.left != before:
            return 1
        ex = following
    return 0


cdef int service_has_room(Core* core, const Service* s) noexcept nogil:
    cdef uint32_t i
    if pool_has_room(core, s.pool):
        return 1
    if s.split != NULL:
        for i in range(s.split.n):
            if pool_is_free(core, s.split.shares[i].pool):
                return 1
    return 0


cdef int serve_one(Core* core, int only_ours) noexcept nogil:
    # The oldest of the services' next ones. 0: there is no place, or it is another worker's.
    cdef uint32_t slot, worker = 0, whose = 0
    cdef uint64_t age, oldest = <uint64_t>-1
    cdef Service* s
    cdef Service* chosen = NULL
    cdef int lane, chosen_lane = 0
    for slot in range(SERVICE_SLOTS):
        s = core.services[slot]
        if s == NULL:
            continue
        lane = choose_lane(core, s, only_ours)
        if lane == NOBODY or not service_has_room(core, s):
            continue
        age = find_oldest(core, s, lane, only_ours, &worker)
        if age < oldest:
            oldest = age
            chosen, chosen_lane, whose = s, lane, worker
    if chosen == NULL:
        return 0
    if whose == core.board.worker:
        return give_turn(core, chosen, chosen_lane)
    if core.wakes[whose] >= 0:
        core.net.wake(core.wakes[whose])
    return 0


cdef void queue_serve(Core* core) noexcept nogil:
    if not core.freed:
        return
    if core.granted and serve_one(core, 1) == 0:
        core.granted = 0
    core.granted = 0
    while core.freed:
        core.freed = 0
        if not anybody_waits(core):
            return
        if serve_one(core, 0):
            core.freed = 1


cdef void queue_look_again(Core* core) noexcept nogil:
    if atomic_load(&core.board.waiters.count[core.board.worker]):
        while serve_one(core, 1):
            pass
    queue_serve(core)


cdef void queue_woken(Core* core) noexcept nogil:
    if core.net.woken(core.wake.fd):
        core.granted = 1
        core.freed = 1


cdef int queue_set_wakes(Core* core, list wakes) except -1:
    cdef int i
    for i in range(MAX_WORKERS):
        core.wakes[i] = wakes[i] if i < len(wakes) else -1
    core.wake.kind = KIND_WAKE
    core.wake.core = core
    core.wake.fd = core.wakes[core.board.worker]
    if core.wake.fd >= 0 and core.net.watch(core.epfd, core.wake.fd, &core.wake, 1) < 0:
        raise OSError("can not watch the worker's eventfd")
    return 0
