"""The scoreboard: one shared mapping in which each worker counts for itself.

A cell has one writer, so no atomic instruction is needed; a reader sums over the workers.
(A node's hold is written by whoever meets the failure: the last one wins, which is as good.)
In-flight counts are therefore exact over all workers, and those of a worker that died are
cleared by `forget_worker` without disturbing the others.
"""

import mmap
import os
import time

from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.string cimport memcpy, memset

from wsgistack.balancer.plane.learned cimport learned_find, learned_key, learned_merge
from wsgistack.balancer.plane.limit_table cimport STRIPES

from wsgistack.balancer.outside import Outcomes
from wsgistack.balancer.plane.limit_units import count_places, find_stamps, forget_stamps
from wsgistack.balancer.plane.ready_table import LEAST_BYTES

MAGIC = b"wsgist10"
LEVEL_NAMES = ("sheddable", "normal", "critical")    # gates.Level
LANE_NAMES = ("normal", "highpri", "lowpri")  # as queues.pxd numbers them
# The class body below would take the bare names for its own.
SIZES = {"nodes": NODE_SLOTS, "keeper": KEEPER_ROW, "services": SERVICE_SLOTS, "workers": MAX_WORKERS, "latency": LATENCY_BUCKETS,
         "limits": LIMIT_SLOTS}


cdef enum:
    HEADER = 4096

cdef struct Header:
    char magic[8]
    uint32_t workers
    uint32_t first_seat          # of these workers, in the table of limits
    uint64_t latest_hold_ms


cdef size_t board_size(int workers):
    return (HEADER + NODE_ROWS * (sizeof(SharedNode) + sizeof(NodeHold)) + sizeof(Learned)
            + SERVICE_SLOTS * sizeof(SharedQueue) + sizeof(Waiters) + workers * sizeof(WorkerBlock))


cdef class Board:
    """Counters per node and service, shared by the supervisor and its workers.

    `create` makes it (an anonymous memory file whose descriptor a worker inherits),
    `attach` maps it in a worker.  All reading methods sum over the workers; they see each
    cell whole but not all cells of one instant.
    """

    NODE_SLOTS = SIZES["nodes"]
    KEEPER_ROW = SIZES["keeper"]
    SERVICE_SLOTS = SIZES["services"]
    MAX_WORKERS = SIZES["workers"]
    LATENCY_BUCKETS = SIZES["latency"]
    LIMIT_SLOTS = SIZES["limits"]

    def __init__(self, fd: int, limits: LimitTable | None = None, ready: ReadyTable | None = None):
        cdef Py_buffer buf
        self.fd = fd
        self.limits = limits
        self.ready = ready
        self.wakes = []
        size = os.fstat(fd).st_size
        if size < HEADER:
            raise ValueError(f"scoreboard: {size} bytes is not a scoreboard")
        self.mapping = mmap.mmap(fd, size)
        PyObject_GetBuffer(self.mapping, &buf, PyBUF_WRITABLE)
        self.mem = <char*>buf.buf
        self.size = size
        PyBuffer_Release(&buf)
        if self.mapping[:8] != MAGIC:
            raise ValueError("scoreboard: wrong magic, made by another version")
        self.workers = (<Header*>self.mem).workers
        if self.workers > MAX_WORKERS or <size_t>size != board_size(self.workers):
            raise ValueError(f"scoreboard: {size} bytes for {self.workers} workers, made by another version")

    @staticmethod
    def create(workers: int, limits: int | None = None, ready_bytes: int = 0, limit_keys: int = 131_072) :
        """Make a scoreboard for *workers* workers (1 to 64); ValueError outside of that.

        *limits*: the descriptor of a table of limits that goes on, or a new one for *limit_keys* is made.  *ready_bytes*: room for
        pages that workers answer with; 0 for none.
        """
        if not 1 <= workers <= MAX_WORKERS:
            raise ValueError(f"workers: {workers} is not between 1 and {MAX_WORKERS}")
        fd = os.memfd_create("wsgistack-board")
        os.ftruncate(fd, board_size(workers))
        os.pwrite(fd, MAGIC + int(workers).to_bytes(4, "little"), 0)
        board = Board(fd, LimitTable.create(max(-(-limit_keys // STRIPES), 1)) if limits is None else LimitTable(limits),
                      ReadyTable.create(max(ready_bytes, LEAST_BYTES)) if ready_bytes else None)
        board.wakes = [os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC) for _ in range(workers)]
        board.seed(os.urandom(16))
        (<Header*>board.mem).first_seat = board.limits.take_seats(workers)
        return board

    @staticmethod
    def attach(fd: int, limits: int | None = None, ready: int | None = None) :
        """Map the scoreboard behind the inherited descriptor *fd*, the table of limits behind *limits*, that of pages behind *ready*."""
        return Board(fd, None if limits is None else LimitTable(limits), None if ready is None else ReadyTable(ready))

    cdef SharedNode* shared(self):
        return <SharedNode*>(self.mem + HEADER)

    cdef NodeHold* holds(self):
        return <NodeHold*>(self.mem + HEADER + NODE_ROWS * sizeof(SharedNode))

    cdef Learned* learned(self):
        return <Learned*>(self.holds() + NODE_ROWS)

    cdef SharedQueue* queues(self):
        return <SharedQueue*>(self.learned() + 1)

    cdef Waiters* waiters(self):
        return <Waiters*>(self.queues() + SERVICE_SLOTS)

    cdef seed(self, bytes random):
        memcpy(self.learned().seeds, <const char*>random, 16)

    cdef WorkerBlock* block(self, int worker):
        return <WorkerBlock*>(self.mem + board_size(worker))

    cdef BoardView view(self, int worker):
        cdef BoardView v
        v.shared = self.shared()
        v.holds = self.holds()
        v.queues = self.queues()
        v.waiters = self.waiters()
        v.latest_hold_ms = &(<Header*>self.mem).latest_hold_ms
        v.learned = self.learned()
        v.mine = self.block(worker)
        v.blocks = self.block(0)
        v.worker = worker
        v.workers = self.workers
        v.seat = (<Header*>self.mem).first_seat + <uint32_t>worker
        return v

    def _check(self, slot: int, limit: int) -> None:
        if not 0 <= slot < limit:
            raise IndexError(f"scoreboard: slot {slot} is not below {limit}")

    def node(self, slot: int) -> dict:
        """Return a node's counters and gauges, and `responsecodes` as {status: count}."""
        self._check(slot, NODE_ROWS)
        cdef NodeCount* n
        cdef SharedNode* s = self.shared() + <int>slot
        cdef int w, code
        out = dict.fromkeys(
            ("in_flight", "open", "connecting", "attempts", "connects", "verifies", "requests", "failures",
             "handed", "lastattempt", "lastconnect", "lastresponse", "bytes_in", "bytes_out"), 0)
        codes = {}
        for w in range(self.workers):
            n = &self.block(w).nodes[<int>slot]
            out["in_flight"] += s.in_flight[w]
            out["open"] += n.open
            out["connecting"] += n.connecting
            out["attempts"] += n.attempts
            out["connects"] += n.connects
            out["verifies"] += n.verifies
            out["requests"] += n.requests
            out["failures"] += n.failures
            out["handed"] += n.handed
            out["bytes_in"] += n.bytes_in
            out["bytes_out"] += n.bytes_out
            out["lastattempt"] = max(out["lastattempt"], n.lastattempt)
            out["lastconnect"] = max(out["lastconnect"], n.lastconnect)
            out["lastresponse"] = max(out["lastresponse"], n.lastresponse)
            for code in range(500):
                if n.codes[code]:
                    codes[code + 100] = codes.get(code + 100, 0) + n.codes[code]
        out["responsecodes"] = dict(sorted(codes.items()))
        return out

    def outcomes(self, slots) -> list:
        """Return the Outcomes of each of *slots*; 1,000 nodes of 4 workers take less than a millisecond."""
        cdef NodeHold* holds = self.holds()
        cdef uint64_t now_ms = time.monotonic_ns() // 1000000
        cdef int slot
        found = []
        for slot in slots:
            if not 0 <= slot < NODE_SLOTS:
                self._check(slot, NODE_SLOTS)
            found.append(self.outcome(slot, holds[slot].hold_until_ms > now_ms))
        return found

    cdef outcome(self, int slot, bint held):
        cdef NodeOutcome* o
        cdef uint64_t good = 0, bad = 0, spent_us = 0, latency_ns = 0, measured_us = 0
        cdef uint32_t streak = 0
        cdef int w
        for w in range(self.workers):
            o = &self.block(w).outcomes[slot]
            good += o.good
            bad += o.bad
            spent_us += o.spent_us
            if o.streak > streak:
                streak = o.streak
            if o.latency_ns and o.measured_us >= measured_us:
                measured_us = o.measured_us
                latency_ns = o.latency_ns
        # Outcomes._make without its Python frame: half the time of a sample.
        return tuple.__new__(Outcomes, (good, bad, streak, latency_ns // 1000, spent_us, measured_us, held))

    def service(self, slot: int) -> dict:
        """Return a service's counters and gauges.

        `responses` by class, `latency` by bucket, `queue` as {class: (length, seconds of the oldest)}.
        """
        self._check(slot, SERVICE_SLOTS)
        cdef ServiceCount* c
        cdef int w, i
        out = {}
        responses = {i: 0 for i in range(1, 6)}
        latency = [0] * LATENCY_BUCKETS
        buckets = [0] * BUCKETS
        for w in range(self.workers):
            c = &self.block(w).services[<int>slot]
            for name, n in (
                ("requests", c.requests), ("refused", c.refused), ("retries", c.retries), ("unbudgeted", c.unbudgeted),
                ("bytes_in", c.bytes_in), ("bytes_out", c.bytes_out), ("accepted", c.accepted), ("denied", c.denied),
                ("cache_hits", c.cache_hits), ("cache_hops", c.cache_hops), ("cache_bypasses", c.cache_bypasses),
                ("cache_fallbacks", c.cache_fallbacks), ("client_connections", c.client_connections),
                ("in_flight", c.in_flight), ("waiting", c.waiting), ("latency_us", c.latency_us), ("strayed", c.strayed),
                ("throttled", c.throttled), ("crowded", c.crowded), ("shut_out", c.shut_out), ("held", c.held),
            ):
                out[name] = out.get(name, 0) + n
            for i in range(BUCKETS):
                buckets[i] += c.buckets[i]
            for i in range(1, 6):
                responses[i] += c.responses[i]
            for i in range(LATENCY_BUCKETS):
                latency[i] += c.latency[i]
        out["responses"] = responses
        out["latency"] = latency
        out["buckets"] = buckets
        out["queue"] = {name: self.lane(slot, i) for i, name in enumerate(LANE_NAMES)}
        return out

    def limit(self, slot: int) -> dict:
        """Return a limit's counters as outside.LimitCounts has them."""
        self._check(slot, LIMIT_SLOTS)
        cdef LimitCount* n
        cdef int w, i
        out = {}
        served, shed = dict.fromkeys(LEVEL_NAMES, 0), dict.fromkeys(LEVEL_NAMES, 0)
        within, ns = [0] * DECISION_BUCKETS, 0
        for w in range(self.workers):
            n = &self.block(w).limits[<int>slot]
            for name, count in (("allowed", n.allowed), ("near", n.near), ("refused", n.refused), ("banned", n.banned),
                                ("watched", n.watched), ("trouble", n.trouble), ("unmetered", n.unmetered)):
                out[name] = out.get(name, 0) + count
            for i, name in enumerate(LEVEL_NAMES):
                served[name] += n.served[i]
                shed[name] += n.shed[i]
            for i in range(DECISION_BUCKETS):
                within[i] += n.decisions[i]
            ns += n.decision_ns
        return out | {"served": served, "shed": shed, "decisions": {"within": within, "ns": ns}}

    def limit_stamps(self, key: bytes, step: int, amount: int, now: int) -> tuple:
        """See limit_units.find_stamps."""
        return find_stamps(self.limits, key, step, amount, now)

    def forget_limit_stamps(self, key: bytes, step: int, amount: int, now: int) -> None:
        """See limit_units.forget_stamps."""
        forget_stamps(self.limits, key, step, amount, now)

    def limit_places(self, key: bytes, step: int, now: int) -> int:
        """See limit_units.count_places."""
        return count_places(self.limits, key, step, now)

    def top(self, slot: int, heavy: bool = False) -> dict:
        """Return {key: refusals} of those whom a limit refuses most; what is rare may be counted too high.

        *heavy*: {key: requests} of those that are not metered each by itself.
        """
        self._check(slot, LIMIT_SLOTS)
        cdef TopKey* keys
        cdef int w, i
        out = {}
        for w in range(self.workers):
            keys = &self.block(w).limits[<int>slot].heavy[0] if heavy else &self.block(w).limits[<int>slot].top[0]
            for i in range(TOP_KEYS):
                if keys[i].count:
                    name = (<char*>keys[i].text)[:keys[i].n]
                    out[name] = out.get(name, 0) + keys[i].count
        return out

    def reset_limit(self, slot: int) -> None:
        """Zero a limit's counters."""
        self._check(slot, LIMIT_SLOTS)
        cdef int w
        for w in range(self.workers):
            memset(&self.block(w).limits[<int>slot], 0, sizeof(LimitCount))

    cdef tuple lane(self, int slot, int lane):
        cdef QueueCell* q
        cdef uint32_t count = 0
        cdef int w
        oldest_s = 0.0
        now = time.monotonic()
        for w in range(self.workers):
            q = &self.queues()[slot].cells[w]
            if q.count[lane]:
                count += q.count[lane]
                oldest_s = max(oldest_s, now - q.oldest_us[lane] * 1e-6)
        return count, oldest_s

    def totals(self) -> dict:
        """Return `requests` and `refused` over all services (those of removed ones included)."""
        cdef int w, i
        requests = refused = 0
        for w in range(self.workers):
            for i in range(SERVICE_SLOTS):
                requests += self.block(w).services[i].requests
                refused += self.block(w).services[i].refused
        return {"requests": requests, "refused": refused}

    def reset_node(self, slot: int) -> None:
        """Zero a node's counters; its gauges (open, connecting, in flight) stay true."""
        self._check(slot, NODE_SLOTS)
        cdef NodeCount* n
        cdef int w
        for w in range(self.workers):      # the gauges before `attempts` have the worker as only writer
            n = &self.block(w).nodes[<int>slot]
            memset(&n.attempts, 0, sizeof(NodeCount) - (<char*>&n.attempts - <char*>n))
            memset(&self.block(w).outcomes[<int>slot], 0, sizeof(NodeOutcome))
        memset(self.holds() + <int>slot, 0, sizeof(NodeHold))

    def reset_service(self, slot: int) -> None:
        """Zero a service's counters; its gauges stay true."""
        self._check(slot, SERVICE_SLOTS)
        cdef ServiceCount* c
        cdef int w
        for w in range(self.workers):      # the gauges behind `latency` have the worker as only writer
            c = &self.block(w).services[<int>slot]
            memset(c, 0, <char*>&c.client_connections - <char*>c)

    def forget_worker(self, worker: int) -> None:
        """Zero the gauges of a worker that died, so that its in-flight requests do not count for ever."""
        self._check(worker, self.workers)
        cdef WorkerBlock* b = self.block(worker)
        cdef int i
        for i in range(NODE_ROWS):
            if b.outcomes[i].streak:
                b.outcomes[i].streak = 0
            if self.shared()[i].in_flight[<int>worker]:     # reads alone leave the pages unallocated
                self.shared()[i].in_flight[<int>worker] = 0
            if b.nodes[i].open or b.nodes[i].connecting:
                b.nodes[i].open = 0
                b.nodes[i].connecting = 0
        for i in range(SERVICE_SLOTS):
            b.services[i].client_connections = 0
            b.services[i].in_flight = 0
            b.services[i].waiting = 0
            b.services[i].held = 0
            memset(&self.queues()[i].cells[<int>worker], 0, sizeof(QueueCell))
        self.waiters().count[<int>worker] = 0
        if self.limits is not None:
            self.limits.renew_seat(self.seats[worker])

    def learn_from(self, other: Board) -> None:
        """Take over what workers of *other* learned of cookies; the first time before any worker of ours runs."""
        learned_merge(self.learned(), other.learned(), time.monotonic_ns() // 1000000000)

    def learned_node(self, service: int, cookie: bytes, ttl_s: int) -> int:
        """Return the node of a service's cookie, 0 if none is known; both by their number (balancer/sticky.py)."""
        key = learned_key(self.learned(), service, cookie, len(cookie))
        return learned_find(self.learned(), key, time.monotonic_ns() // 1000000000, ttl_s, False)

    @property
    def seats(self) -> range:
        """The seats of these workers in the table of limits."""
        return range((<Header*>self.mem).first_seat, (<Header*>self.mem).first_seat + self.workers)

    def close(self) -> None:
        """Unmap it and close the descriptor; nothing may use it afterwards."""
        if self.fd >= 0:
            self.mapping.close()
            for fd in [self.fd, *self.wakes]:
                os.close(fd)
            for table in (self.limits, self.ready):
                if table is not None:
                    table.close()
            self.fd = -1
            self.wakes = []


def time_once(latency_ns: int, measured_us: int, now_us: int, us: int) -> tuple:
    """Return (latency_ns, measured_us) of a cell after one more time, for the tests."""
    cdef NodeOutcome o
    memset(&o, 0, sizeof(o))
    o.latency_ns = latency_ns
    o.measured_us = measured_us
    board_timed(&o, now_us, us)
    return o.latency_ns, o.measured_us
