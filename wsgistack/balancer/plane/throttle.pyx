"""Perlbal's Throttle: who asks again too soon waits, longer each time, and is shut out in the end.

A state by address, in the table of limits that all workers share:

    nothing -> on probation (threshold) -> throttled (its delay, doubled by each request) -> banned
       ^              |      ^                       |                                         |
       +--------------+      +-----------------------+                                         |
       +---------------------------------------------------------------------------------------+

A request that waits is held by ex.retry_at_ms: it has no thread and no node, but a timer that it had
anyway, and a place of `max_concurrent` (limit_units.pyx), which its end gives back, or its worker's.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from wsgistack.balancer.plane.asker cimport Asker, find_keys, know_path
from wsgistack.balancer.plane.board cimport ServiceCount
from wsgistack.balancer.plane.buf cimport Buf, buf_append, buf_data, buf_len, buf_release
from wsgistack.balancer.plane.core cimport Client, Core, Service, service_counts
from wsgistack.balancer.plane.events cimport EVENT_BAN, EVENT_BANNED, EVENT_CONCURRENT, EVENT_THROTTLED, event_throttled
from wsgistack.balancer.plane.gate_answer cimport gate_refuse
from wsgistack.balancer.plane.gates cimport AskerKey, Claims, Gate, Throttle
from wsgistack.balancer.plane.limit_kernels cimport LimitState
from wsgistack.balancer.plane.limit_table cimport STRIPES, TableView, table_lock, table_read, table_unlock, table_write
from wsgistack.balancer.plane.limit_units cimport Lease, units_decide, units_release, units_take
from wsgistack.balancer.plane.timers cimport timer_at_most
from wsgistack.balancer.plane.wire cimport Head

cdef enum:
    BANNED = -1                  # in the place of violations
    CROWDED = -2
    MOST_DOUBLINGS = 40
    SHORT = 256
    SECOND_US = 1000000
    STATES = 0                   # the rates of its limit: the ban, and the delayed requests
    HELD = 1

cdef extern from "<regex.h>" nogil:
    ctypedef struct regex_t:
        pass
    int regexec(const regex_t* regex, const char* text, size_t n, void* found, int flags)


# -- the states of an address ----------------------------------------------------------------

cdef inline int64_t delay_of(const Throttle* r, int64_t violations) noexcept nogil:
    cdef int64_t doublings = violations - 1 if violations <= MOST_DOUBLINGS else MOST_DOUBLINGS
    if r.initial_us == 0 or r.initial_us > r.longest_us >> doublings:
        return r.longest_us if r.initial_us else 0
    return r.initial_us << doublings


cdef int64_t throttle_step(const Throttle* r, LimitState* s, int64_t now) noexcept nogil:
    # Count a request: 0 if it passes, how long it waits, or BANNED, until s.ends_us.
    cdef int64_t violations = s.b if s.ends_us > now else 0, delay
    if violations == BANNED:
        return BANNED
    if s.ends_us <= now or (violations == 0 and now >= s.a + r.threshold_us):
        s.a, s.b, s.ends_us = now, 0, now + r.threshold_us
        return 0
    if violations and now >= s.a + delay_of(r, violations):
        violations = 0           # quiet as long as it was delayed: on probation again
    violations += 1
    if r.ban_after and violations >= r.ban_after:
        s.a, s.b, s.ends_us = now, BANNED, now + r.ban_us
        return BANNED
    delay = delay_of(r, violations)
    s.a, s.b, s.ends_us = now, violations, now + delay + r.threshold_us
    return delay


# -- what it is about ------------------------------------------------------------------------

cdef int fits(void* regex, const char* p, uint32_t n) noexcept nogil:
    # `p` is followed by room for a NUL. Without memory for the search it fits.
    cdef char text[SHORT]
    cdef Buf room
    cdef int found
    if regex == NULL:
        return 1
    memset(&room, 0, sizeof(room))
    if n < SHORT:
        memcpy(text, p, n)
        text[n] = 0
        return regexec(<regex_t*>regex, text, 0, NULL, 0) == 0
    if buf_append(&room, p, n) != 0 or buf_append(&room, b"", 1) != 0:
        buf_release(&room)
        return 1
    found = regexec(<regex_t*>regex, buf_data(&room), 0, NULL, 0) == 0
    buf_release(&room)
    return found


cdef int is_throttled(const Throttle* r, const Head* h, const char* p, Buf* path) noexcept nogil:
    if not fits(r.method_regex, p + h.method, h.method_len):
        return 0
    return r.path_regex == NULL or not know_path(h, p, path) or fits(r.path_regex, buf_data(path), buf_len(path))


# -- one request -----------------------------------------------------------------------------

cdef uint64_t count_held(const Core* core, uint32_t slot) noexcept nogil:
    cdef uint64_t held = 0
    cdef uint32_t w
    for w in range(core.board.workers):
        held += core.board.blocks[w].services[slot].held
    return held


cdef void refuse(Client* c, const Throttle* r, const AskerKey* key, int rate, int64_t wait_us, const Head* h, const char* p) noexcept nogil:
    cdef Claims claims
    claims.n, claims.refused, claims.wait_us = 1, 0, wait_us
    claims.claims[0].limit = &r.limit
    claims.claims[0].rate = &r.limit.rates[rate]
    claims.claims[0].key = key
    gate_refuse(c, &claims, h, p)


cdef int64_t decide(Client* c, const Throttle* r, const AskerKey* key, int watches, LimitState* s, Lease* lease) noexcept nogil:
    # With the lock of the key held: as throttle_step, or CROWDED.
    cdef Core* core = c.ep.core
    cdef const TableView* t = core.limits
    cdef int64_t now = <int64_t>core.now_us, at = 0, before_ends, delay
    cdef LimitState seen
    table_read(t, key.hash, r.limit.rates[STATES].id, now, s)
    before_ends = s.ends_us
    delay = throttle_step(r, s, now)
    if delay > 0:
        if (count_held(core, c.service.slot) >= c.service.queue_size
                or units_decide(t, key.hash, r.limit.rates[HELD].id, &r.limit.rates[HELD].rate, now, &seen, &at)):
            return CROWDED       # that is no violation: nothing is written
        if not watches and not units_take(t, key.hash, r.limit.rates[HELD].id, &r.limit.rates[HELD].rate, now,
                                          core.board.seat, &seen, at, lease):
            return CROWDED
    if delay != BANNED or s.ends_us != before_ends:
        table_write(t, key.hash, r.limit.rates[STATES].id, now, s)
    return delay


cdef int throttle_answers(Client* c, const Gate* gate, const Asker* who, const Head* h, const char* p, Buf* path) noexcept nogil:
    cdef const Throttle* r = gate.throttle
    cdef Core* core = c.ep.core
    cdef ServiceCount* counts = service_counts(c)
    cdef AskerKey keys[2]
    cdef LimitState s
    cdef Lease lease
    cdef int64_t delay
    if not is_throttled(r, h, p, path):
        return 0
    find_keys(core.limits, c, &r.limit, who, h, p, keys)
    lease.place = NULL
    if not table_lock(core.limits, keys[0].hash & (STRIPES - 1)):
        return 0                 # our trouble is not the client's
    delay = decide(c, r, &keys[0], gate.watches, &s, &lease)
    table_unlock(core.limits, keys[0].hash & (STRIPES - 1))
    if delay == 0:
        return 0
    if delay == BANNED:
        counts.shut_out += 1
        event_throttled(c, r.events, EVENT_BAN if s.a == <int64_t>core.now_us else EVENT_BANNED)
    elif delay == CROWDED:
        counts.crowded += 1
        event_throttled(c, r.events, EVENT_CONCURRENT)
    else:
        counts.throttled += 1
        event_throttled(c, r.events, EVENT_THROTTLED)
    if gate.watches:
        return 0
    if delay < 0:
        refuse(c, r, &keys[0], STATES if delay == BANNED else HELD, s.ends_us - <int64_t>core.now_us if delay == BANNED else SECOND_US, h, p)
        return 1
    c.ex.delayed = lease
    c.ex.retry_at_ms = core.now_ms + <uint64_t>delay // 1000
    counts.held += 1
    return 0


cdef void throttle_release(Client* c) noexcept nogil:
    units_release(&c.ex.delayed)
    service_counts(c).held -= 1


cdef void throttle_let_go(Core* core, const Service* service) noexcept nogil:
    cdef Client* c = core.clients
    while c != NULL:
        if c.ex != NULL and c.ex.delayed.place != NULL and (service == NULL or c.service == service):
            c.ex.retry_at_ms = core.now_ms
            timer_at_most(&core.wheel, &c.timer, core.now_ms)
        c = c.next


cdef int throttle_fill(Throttle* r, dict spec) except -1:
    r.threshold_us = spec["threshold_us"]
    r.initial_us = spec["initial_us"]
    r.longest_us = spec["longest_us"]
    r.ban_us = spec["ban_us"]
    r.ban_after = spec["ban_after"]
    return 0


# -- the face for tests -----------------------------------------------------------------------

cdef class ThrottleKernel:
    """The states of one address, driven from Python; *spec* is what balancer/throttle.py tells workers."""

    cdef Throttle rules
    cdef LimitState state

    def __init__(self, spec: dict):
        throttle_fill(&self.rules, spec)
        self.state.ends_us = self.state.a = self.state.b = 0

    def ask(self, now: int) -> int:
        """Count a request and return by how many us it is delayed; -1: it is banned."""
        return throttle_step(&self.rules, &self.state, now)

    @property
    def words(self) -> tuple:
        """The state as it lies in memory: (ends_us, a, b)."""
        return self.state.ends_us, self.state.a, self.state.b
