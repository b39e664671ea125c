"""The limits of a service, decided in the worker: the compiled twin of ratelimit/limiter.py.

All limits of a request are granted together or not at all: the locks of all its keys are held
while it is decided, in one order.  A limit that only watches (dry_run) is decided apart, so that it
changes nothing for anybody.  A refused request consumes nothing unless its limit counts it.

If the table can not be locked in time, because somebody who holds a lock is stopped, the request
passes uncounted: our trouble is not the client's.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy, memset
from posix.time cimport CLOCK_THREAD_CPUTIME_ID, clock_gettime, timespec

from wsgistack.balancer.plane.asker cimport Asker, find_asker, find_keys, find_level, is_about
from wsgistack.balancer.plane.board cimport LimitCount, board_decided
from wsgistack.balancer.plane.buf cimport Buf, buf_release
from wsgistack.balancer.plane.core cimport Client, Core, Service, core_refresh
from wsgistack.balancer.plane.events cimport EVENT_BLACKLISTED, EVENT_WHITELISTED, event_throttled
from wsgistack.balancer.plane.exchange cimport Exchange, exchange_free, exchange_new
from wsgistack.balancer.plane.gate_answer cimport gate_deny, gate_refuse, gate_tell
from wsgistack.balancer.plane.gates cimport (
    MAX_KEYS,
    AskerKey,
    Claim,
    Claims,
    Gate,
    GateLimit,
    GateRate,
)
from wsgistack.balancer.plane.limit_kernels cimport (
    LIMIT_BAN,
    LIMIT_NEVER,
    LimitState,
    limit_charge,
    limit_decide,
    limit_is_near,
    limit_turn,
)
from wsgistack.balancer.plane.limit_table cimport (
    MOST_KEYS,
    Locks,
    TableView,
    locks_add,
    locks_give,
    locks_take,
    table_expect,
    table_read,
    table_write,
)
from wsgistack.balancer.plane.limit_units cimport Lease, units_charge, units_decide, units_release, units_take
from wsgistack.balancer.plane.meter cimport (
    COLUMN_REFUSED,
    COLUMN_WOULD_REFUSE,
    count_top,
    meter_begin,
    meter_end,
    meter_refused,
)
from wsgistack.balancer.plane.networks cimport ranges_hold
from wsgistack.balancer.plane.throttle cimport throttle_answers
from wsgistack.balancer.plane.wire cimport Head, parse_request_head

cdef enum Listed:                # what the lists of a service say of a client
    LIST_LIMITED
    LIST_PASSES
    LIST_DENIED

cdef inline LimitCount* counts(Core* core, const GateLimit* limit) noexcept nogil:
    return &core.board.mine.limits[limit.slot]


# -- one decision --------------------------------------------------------------------------

cdef int64_t ask(const TableView* t, Claim* claim, int64_t now) noexcept nogil:
    if claim.rate.rate.kind > LIMIT_BAN:
        return units_decide(t, claim.key.hash, claim.rate.id, &claim.rate.rate, now, &claim.state, &claim.at)
    table_read(t, claim.key.hash, claim.rate.id, now, &claim.state)
    limit_turn(&claim.rate.rate, now, t.head.offset_us)
    return limit_decide(&claim.rate.rate, &claim.state, now)


cdef int take(const TableView* t, Claim* claim, int64_t now, uint32_t seat) noexcept nogil:
    cdef const GateRate* rate = claim.rate
    if rate.rate.kind == LIMIT_BAN:
        return 1
    if rate.rate.kind > LIMIT_BAN:
        return units_take(t, claim.key.hash, rate.id, &rate.rate, now, seat, &claim.state, claim.at, &claim.lease)
    return table_write(t, claim.key.hash, rate.id, now, &claim.state)


cdef void settle(const TableView* t, Claims* all, int64_t now, uint32_t seat) noexcept nogil:
    cdef uint32_t i
    for i in range(all.n):
        if not take(t, &all.claims[i], now, seat):
            all.refused = <int>i     # more rates than a stripe has shared places: who can not be counted can not pass
            all.wait_us = 1000000
            return


cdef void note(const TableView* t, const Claim* claim, int64_t wait_us, int64_t now) noexcept nogil:
    # Count a refusal where its limit says so: under its own rate, and towards a ban.
    cdef LimitState state
    if claim.limit.count_refused and wait_us != LIMIT_NEVER and claim.rate.rate.kind > LIMIT_BAN:
        units_charge(t, claim.key.hash, claim.rate.id, &claim.rate.rate, now)
    elif claim.limit.count_refused and wait_us != LIMIT_NEVER:
        state = claim.state
        limit_charge(&claim.rate.rate, &state, now)
        table_write(t, claim.key.hash, claim.rate.id, now, &state)
    if claim.limit.bans:
        table_read(t, claim.key.hash, claim.limit.rates[0].id, now, &state)
        limit_charge(&claim.limit.rates[0].rate, &state, now)
        table_write(t, claim.key.hash, claim.limit.rates[0].id, now, &state)


cdef void decide(const TableView* t, Claims* all, int64_t now, uint32_t seat) noexcept nogil:
    cdef Claim* claim
    cdef uint32_t i
    all.refused = -1
    for i in range(all.n):
        claim = &all.claims[i]
        claim.lease.place = NULL
        all.wait_us = ask(t, claim, now)
        if all.wait_us:
            all.refused = <int>i
            break
    if all.refused < 0:
        settle(t, all, now, seat)
        return
    for i in range(all.n):
        claim = &all.claims[i]
        claim.lease.place = NULL
        if claim.rate.rate.kind > LIMIT_BAN:
            ask(t, claim, now)
        else:
            table_read(t, claim.key.hash, claim.rate.id, now, &claim.state)
    claim = &all.claims[all.refused]
    if claim.rate.rate.kind != LIMIT_BAN:
        note(t, claim, all.wait_us, now)


cdef int decide_locked(Core* core, Claims* all) noexcept nogil:
    # 0 if the table could not be locked.
    cdef const TableView* t = core.limits
    cdef Locks locks
    cdef uint32_t i
    locks.n = 0
    for i in range(all.n):
        locks_add(&locks, all.claims[i].key.hash)
        table_expect(t, all.claims[i].key.hash, all.claims[i].rate.id)
    if not locks_take(t, &locks):
        return 0
    decide(t, all, <int64_t>core.now_us, core.board.seat)
    locks_give(t, &locks, locks.n)
    return 1


# -- what requests hold --------------------------------------------------------------------

cdef void hold(Exchange* ex, Claims* all) noexcept nogil:
    # Keep what was taken until the request ends; not of one that is refused after all.
    cdef uint32_t i
    cdef Lease* grown
    for i in range(all.n):
        if all.claims[i].lease.place == NULL:
            continue
        grown = NULL
        if all.refused < 0:
            grown = <Lease*>realloc(ex.leases, (ex.n_leases + 1) * sizeof(Lease))
        if grown == NULL:
            units_release(&all.claims[i].lease)
            continue
        grown[ex.n_leases] = all.claims[i].lease
        ex.leases = grown
        ex.n_leases += 1


cdef void gate_release(Exchange* ex) noexcept nogil:
    cdef uint32_t i
    for i in range(ex.n_leases):
        units_release(&ex.leases[i])
    free(ex.leases)
    ex.leases = NULL
    ex.n_leases = 0


# -- what is counted -----------------------------------------------------------------------

cdef void count(Core* core, Exchange* ex, const Claims* all, int watched) noexcept nogil:
    cdef const Claim* claim
    cdef const GateLimit* last = NULL
    cdef LimitCount* n = NULL
    cdef uint32_t i
    cdef int near = 0
    if all.refused >= 0:
        claim = &all.claims[all.refused]
        n = counts(core, claim.limit)
        if watched:
            n.watched += 1
        else:
            n.refused += 1
            n.banned += claim.rate.rate.kind == LIMIT_BAN
        if claim.limit.sheds:
            n.shed[claim.level] += 1
        count_top(n.top, claim.key)
        if ex.n_metered:
            meter_refused(core, ex, claim.limit, claim.key, COLUMN_WOULD_REFUSE if watched else COLUMN_REFUSED)
        return
    for i in range(all.n):
        claim = &all.claims[i]
        if claim.limit != last:
            last, near = claim.limit, 0
            n = counts(core, last)
            n.allowed += 1
            if last.sheds:
                n.served[claim.level] += 1
        if not near and limit_is_near(&claim.rate.rate, &claim.state, <int64_t>core.now_us):
            near = 1             # once, under however many of its rates and keys
            n.near += 1


cdef void count_time(Core* core, const Gate* gate, uint32_t met, uint64_t took_ns) noexcept nogil:
    cdef uint32_t i
    for i in range(gate.n):
        if met >> i & 1:
            board_decided(counts(core, &gate.limits[i]), took_ns)


# -- one request ---------------------------------------------------------------------------

cdef inline void claim_one(const GateLimit* limit, uint32_t rate, const AskerKey* key, int level, Claims* all) noexcept nogil:
    cdef Claim* claim = &all.claims[all.n]
    claim.limit = limit
    claim.rate = &limit.rates[rate]
    claim.key = key
    claim.level = <uint8_t>level
    all.n += 1


cdef void claim_all(const TableView* t, const GateLimit* limit, const AskerKey* keys, int n_keys, int level, Claims* all) noexcept nogil:
    cdef uint32_t i
    cdef int k
    cdef uint32_t first = 0 if limit.bans or t.head.banned else 1
    for k in range(n_keys):
        if first == 0:
            claim_one(limit, 0, &keys[k], level, all)
        for i in range(1 + <uint32_t>level, limit.n_rates):      # what it holds is none of the places of levels below
            claim_one(limit, i, &keys[k], level, all)


cdef int judge_lists(const Gate* gate, const Asker* who) noexcept nogil:
    cdef int is_listed
    if who.known and gate.allow.n and ranges_hold(&gate.allow, who.address):
        return LIST_PASSES
    is_listed = who.known and gate.deny.n and ranges_hold(&gate.deny, who.address)
    if is_listed and gate.denies:
        return LIST_DENIED
    return LIST_LIMITED if is_listed or gate.about_all else LIST_PASSES


cdef uint32_t claim_limits(Client* c, const Gate* gate, const Asker* who, const Head* h, const char* p, Buf* path,
                           AskerKey* keys, Claims* all) noexcept nogil:
    # Gather what the limits that are about the request claim, and decide those that only watch.
    # Return which of them have a say: a bit for each.
    cdef Core* core = c.ep.core
    cdef const GateLimit* limit
    cdef AskerKey* own
    cdef Claims watched
    cdef uint32_t i, before, met = 0
    cdef int n, level
    all.n = 0
    for i in range(gate.n):
        limit = &gate.limits[i]
        if not is_about(limit, h, p, who, path):
            continue
        own = &keys[i * MAX_KEYS]
        n = find_keys(core.limits, c, limit, who, h, p, own)
        if core.meter != NULL and limit.meter.n:
            meter_begin(c, limit, own, n, h, p)
        level = find_level(limit, h, p, who, path) if limit.sheds else 0
        if not limit.dry_run:
            before = all.n
            claim_all(core.limits, limit, own, n, level, all)
            met |= <uint32_t>(all.n > before) << i
            continue
        watched.n = 0
        claim_all(core.limits, limit, own, n, level, &watched)
        if watched.n == 0:
            continue
        met |= <uint32_t>1 << i
        if decide_locked(core, &watched):
            count(core, c.ex, &watched, 1)
            hold(c.ex, &watched)
    return met


cdef int gate_answers(Client* c, const Head* h, const char* p) noexcept nogil:
    cdef Core* core = c.ep.core
    cdef const Gate* gate = c.service.gate
    cdef AskerKey keys[MOST_KEYS]
    cdef Asker who
    cdef Claims all
    cdef Buf path
    cdef uint64_t began_ns
    cdef uint32_t met
    cdef int listed, done
    find_asker(c, h, p, &who)
    listed = judge_lists(gate, &who)
    if listed == LIST_DENIED:
        core.board.mine.services[c.service.slot].denied += 1
        if gate.throttle != NULL:
            event_throttled(c, gate.throttle.events, EVENT_BLACKLISTED)
        if not gate.watches:
            gate_deny(c, h, p)
            return 1
    elif listed == LIST_PASSES:
        if gate.throttle != NULL and gate.about_all:
            event_throttled(c, gate.throttle.events, EVENT_WHITELISTED)
        return 0
    memset(&path, 0, sizeof(path))
    if gate.throttle != NULL and throttle_answers(c, gate, &who, h, p, &path):
        buf_release(&path)
        return 1
    if gate.n == 0:
        buf_release(&path)
        return 0
    began_ns = core.net.ticks()
    met = claim_limits(c, gate, &who, h, p, &path, keys, &all)
    buf_release(&path)
    done = all.n == 0 or decide_locked(core, &all)
    if met:
        count_time(core, gate, met, core.net.ticks() - began_ns)
    if all.n == 0:
        return 0
    if not done:
        counts(core, all.claims[0].limit).trouble += 1
        return 0
    count(core, c.ex, &all, 0)
    hold(c.ex, &all)
    if all.refused >= 0:
        gate_refuse(c, &all, h, p)
        return 1
    gate_tell(c.ex, &all, core.now_us)
    return 0


cdef int64_t cpu_ns() noexcept nogil:
    cdef timespec at
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &at)
    return <int64_t>at.tv_sec * 1000000000 + at.tv_nsec


cdef double gate_time(Core* core, Service* service, bytes head, int keys, int count) except -1:
    # For bench/limits.py: nanoseconds of CPU that one request which passes costs, its fields written; by so many addresses.
    cdef Client* c = <Client*>calloc(1, sizeof(Client))
    cdef Exchange* ex = exchange_new()
    cdef int64_t began_ns
    cdef int i, refused = 0
    core.head.max_bytes, core.head.max_fields, core.head.max_target, core.head.scan = 32768, 100, 16384, 0
    if c == NULL or ex == NULL or parse_request_head(head, len(head), &core.head) <= 0:
        raise ValueError("no whole head, or no memory")
    c.ep.core, c.service, c.ex, c.peer_known = core, service, ex, 1
    core_refresh(core)
    began_ns = cpu_ns()
    for i in range(count):
        (<uint32_t*>c.peer_address)[0] = <uint32_t>(i % keys) * <uint32_t>2654435761
        refused += gate_answers(c, &core.head, head)
        buf_release(&ex.told)
        gate_release(ex)
        if ex.n_metered:
            meter_end(core, ex)
    began_ns = cpu_ns() - began_ns
    exchange_free(ex)
    free(c)
    if refused:
        raise ValueError(f"{refused} of {count} were refused")
    return <double>began_ns / count
