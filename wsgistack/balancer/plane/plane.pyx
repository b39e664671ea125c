"""The data plane of one worker: an epoll descriptor of its own, watched by one gevent watcher.

`Plane.poll` runs when that descriptor is readable: it takes the events, moves the connections
on by callbacks in compiled code, and returns to the hub.  No greenlet and no Python object
is made for a request.  The nested descriptor is public API only and costs less than a
watcher per connection (docs/performance.md).
"""

import os

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport strncpy

from wsgistack.balancer.plane.accept cimport accept_clients, last_call, leave, prepare_listening
from wsgistack.balancer.plane.access_log cimport log_close, log_keep, log_open
from wsgistack.balancer.plane.board cimport Board
from wsgistack.balancer.plane.budget cimport budget_mark
from wsgistack.balancer.plane.core cimport (
    CONN_IDLE,
    KIND_CLIENT,
    KIND_CONN,
    KIND_LISTENER,
    KIND_WAKE,
    TEXT_BYTES,
    Client,
    Conn,
    Core,
    Endpoint,
    EventRecord,
    Listener,
    Service,
    core_bury_dead,
    core_refresh,
    endpoint_bury,
    service_unref,
)
from wsgistack.balancer.plane.downstream cimport down_close, down_event, down_retire, down_set_callbacks
from wsgistack.balancer.plane.downstream cimport down_step, down_timer
from wsgistack.balancer.plane.meter cimport meter_close, meter_open
from wsgistack.balancer.plane.net cimport real_net
from wsgistack.balancer.plane.queues cimport queue_look_again, queue_serve, queue_set_wakes, queue_woken
from wsgistack.balancer.plane.rows cimport all_rows, client_name
from wsgistack.balancer.plane.simulated cimport simulated_net
from wsgistack.balancer.plane.tables cimport Tables
from wsgistack.balancer.plane.throttle cimport throttle_let_go
from wsgistack.balancer.plane.timers cimport TICK_MS, wheel_init, wheel_run
from wsgistack.balancer.plane.upstream cimport up_event, up_timer

from wsgistack.balancer.plane.inspect import describe

cdef extern from "<sys/epoll.h>" nogil:
    ctypedef union epoll_data_t:
        void* ptr
    struct epoll_event:
        uint32_t events
        epoll_data_t data
    int epoll_create1(int flags)
    int epoll_wait(int epfd, epoll_event* events, int most, int timeout)
    enum:
        EPOLL_CLOEXEC

cdef extern from "<unistd.h>" nogil:
    int close(int fd)

cdef enum:
    BATCH = 256
    ROUNDS = 8                   # batches per visit of the hub

cdef struct Batch:
    epoll_event events[BATCH]


cdef void fire(void* owner) noexcept nogil:
    if (<Endpoint*>owner).kind == KIND_CLIENT:
        down_timer(<Client*>owner)
    else:
        up_timer(<Conn*>owner)


cdef void dispatch(Endpoint* ep, uint32_t events) noexcept nogil:
    if ep.dead:
        return
    if ep.kind == KIND_CLIENT:
        down_event(<Client*>ep, events)
    elif ep.kind == KIND_CONN:
        up_event(<Conn*>ep, events)
    elif ep.kind == KIND_WAKE:
        queue_woken(ep.core)
    else:
        accept_clients(<Listener*>ep)


cdef void run_again(Core* core) noexcept nogil:
    cdef Client* c = core.again
    cdef Client* following
    core.again = NULL
    while c != NULL:
        following = c.next_again
        c.again = 0
        if not c.ep.dead:
            down_step(c)
        c = following


cdef void work_on(Core* core, epoll_event* events, int n) noexcept nogil:
    cdef int i
    cdef Endpoint* ep
    core_refresh(core)
    # First what closes idle node connections, so that no request of this batch is put on a dead one.
    for i in range(n):
        ep = <Endpoint*>events[i].data.ptr
        if ep.kind == KIND_CONN and (<Conn*>ep).state == CONN_IDLE:
            dispatch(ep, events[i].events)
            events[i].events = 0
    for i in range(n):
        if events[i].events:
            dispatch(<Endpoint*>events[i].data.ptr, events[i].events)
    run_again(core)
    queue_serve(core)
    core_bury_dead(core)


cdef int run_batch(Core* core, epoll_event* events) noexcept nogil:
    cdef int n = epoll_wait(core.epfd, events, BATCH, 0)
    if n < 0:
        n = 0
    if n or core.again != NULL:
        work_on(core, events, n)
    return n


cdef class Plane:
    """The connections of one worker; all methods must be called from the thread that runs the gevent hub.

    *on_event* is called with one dict per refusal or failure, never while a batch of events is being worked
    on.  *wakes*: an eventfd for each worker, by which they leave free places to each other; else that takes until the next tick.
    """

    cdef Core* core
    cdef Batch* batch
    cdef Board board
    cdef object on_event
    cdef object loop
    cdef object watcher
    cdef bint shared             # others listen on our sockets too
    cdef object timer
    cdef Tables tables
    cdef readonly int version
    cdef uint64_t second         # of the last tick, monotonic

    def __cinit__(self, Board board not None, int worker, on_event, simulated=False, wakes=()):
        if not 0 <= worker < board.workers:
            raise ValueError(f"worker: {worker} is not below {board.workers}")
        self.core = <Core*>calloc(1, sizeof(Core))
        self.batch = <Batch*>calloc(1, sizeof(Batch))
        if self.core == NULL or self.batch == NULL:
            raise MemoryError
        self.core.epfd = -1
        self.board = board
        self.on_event = on_event
        self.version = 0
        self.core.net = simulated_net() if simulated else real_net()
        self.core.board = board.view(worker)
        if board.limits is not None:
            self.core.limits = &board.limits.view
        if board.ready is not None:
            self.core.ready = &board.ready.view
        self.core.rng = 88172645463325252 if simulated else int.from_bytes(os.urandom(8), "little") | 1
        self.core.max_clients = 20000
        self.core.log.fd = -1
        core_refresh(self.core)
        wheel_init(&self.core.wheel, self.core.now_ms)
        down_set_callbacks(self.core)
        self.tables = Tables()
        self.tables.core = self.core
        self.core.epfd = epoll_create1(EPOLL_CLOEXEC)
        if self.core.epfd < 0:
            raise OSError("epoll_create1 failed")
        queue_set_wakes(self.core, list(wakes))

    def __dealloc__(self):
        if self.core != NULL:
            if self.core.epfd >= 0:
                close(self.core.epfd)
            meter_close(self.core)
            free(self.core.log.p)
            free(self.core)
        free(self.batch)

    def start(self) -> None:
        """Register with the hub of this thread."""
        from gevent import get_hub

        self.loop = get_hub().loop
        self.watcher = self.loop.io(self.core.epfd, 1)
        self.watcher.start(self.poll)
        every = TICK_MS * 0.001
        self.timer = self.loop.timer(every, every)
        self.timer.start(self.tick)

    def poll(self) -> None:
        """Work on the events that wait, at most ROUNDS batches of them."""
        cdef int i
        for i in range(ROUNDS):
            if run_batch(self.core, self.batch.events) < BATCH and self.core.again == NULL:
                break
        if self.core.again != NULL and self.loop is not None:
            self.loop.run_callback(self.poll)
        if self.core.n_events or self.core.lost_events:
            self.report()

    def tick(self) -> None:
        """Run the timers that are due."""
        core_refresh(self.core)
        if self.core.now_ms // 1000 != self.second:
            self.second = self.core.now_ms // 1000
            budget_mark(&self.core.board, self.second)
        if self.core.log.used or self.core.log.lost:
            lost = log_keep(self.core)
            if lost is not None:
                self.on_event(lost)
        wheel_run(&self.core.wheel, self.core.now_ms, fire)
        run_again(self.core)
        queue_look_again(self.core)
        core_bury_dead(self.core)
        if self.core.again != NULL or self.core.n_events or self.core.lost_events:
            self.poll()

    def deliver(self, events: list) -> None:
        """Work on one batch of simulated events: at most 256 pairs of (handle from `watch`, epoll bits)."""
        cdef int i
        for i, (handle, bits) in enumerate(events):
            self.batch.events[i].data.ptr = <void*><size_t>handle
            self.batch.events[i].events = bits
        work_on(self.core, self.batch.events, len(events))
        self.poll_again()

    cdef poll_again(self):
        while self.core.again != NULL:
            work_on(self.core, self.batch.events, 0)
        if self.core.n_events or self.core.lost_events:
            self.report()

    cdef report(self):
        cdef EventRecord* e
        cdef uint32_t i, n = self.core.n_events
        out = []
        for i in range(n):
            e = &self.core.events[i]
            if e.kind == 1:
                out.append({"event": "refused" if e.status else "cut", "service": e.service.decode(),
                            "client": client_name(e.peer, e.port), "status": e.status, "reason": e.why.decode()})
            elif e.kind == 4:
                out.append({"event": e.why.decode(), "service": e.service.decode(), "client": client_name(e.peer, e.port)})
            elif e.kind == 3:
                out.append({"event": "not_sent_again", "service": e.service.decode(), "reason": "retry_budget"})
            else:
                out.append({"event": "node_failed", "node": e.node.decode(), "service": e.service.decode(),
                            "phase": PHASES[e.phase], "reason": e.why.decode(),
                            "error": os.strerror(e.error) if e.error else ""})
        if self.core.lost_events:
            out.append({"event": "events_lost", "count": self.core.lost_events})
        self.core.n_events = 0
        self.core.lost_events = 0
        for event in out:
            self.on_event(event)

    # -- change ----------------------------------------------------------------------------

    def apply(self, snapshot: dict) -> None:
        """Take over a snapshot; what runs goes on, idle connections to removed nodes close."""
        core_refresh(self.core)
        self.tables.apply(snapshot)
        queue_look_again(self.core)
        core_bury_dead(self.core)
        self.version = snapshot["version"]

    def adopt(self, service: str, fd: int, address: str, inner: bool = False) -> None:
        """Accept connections for *service* on the listening socket *fd*, which is ours; *inner*: those of the keeper."""
        cdef Listener* l
        cdef Service* s = self.tables.service(service)
        if self.core.net == real_net():
            prepare_listening(fd)
        l = <Listener*>calloc(1, sizeof(Listener))
        if l == NULL:
            raise MemoryError
        l.ep.kind = KIND_LISTENER
        l.ep.fd = fd
        l.ep.core = self.core
        l.service = s
        l.inner = inner
        s.refs += 1
        strncpy(l.address, address.encode(), TEXT_BYTES - 1)
        l.next = self.core.listeners
        self.core.listeners = l
        if self.core.net.watch(self.core.epfd, fd, l, 0) < 0:
            raise OSError(f"adopt: can not watch {address}")

    def share(self, on: bool) -> None:
        """From now on others listen on our sockets too: they stay as they are when we leave them."""
        self.shared = on

    def release(self, service: str, address: str, kept: bool = False) -> None:
        """Accept what is queued at *address*, then stop listening there.

        *kept*: somebody goes on to listen on the socket: the queue is left to them.
        """
        self.close_listeners(kept or self.shared, True, (service.encode(), address.encode()))

    cdef close_listeners(self, bint kept, bint inner, where):
        cdef Listener* l = self.core.listeners
        cdef Listener* previous = NULL
        cdef Listener* following
        core_refresh(self.core)
        while l != NULL:
            following = l.next
            if (inner or not l.inner) and (where is None or where == (<bytes>l.service.name, <bytes>l.address)):
                if previous != NULL:
                    previous.next = following
                else:
                    self.core.listeners = following
                if not kept:
                    last_call(l)
                leave(l)
                service_unref(l.service)
                endpoint_bury(&l.ep)
            else:
                previous = l
            l = following
        core_bury_dead(self.core)

    def drain(self) -> None:
        """Stop accepting once the queues are empty, end idle connections, finish what runs."""
        self.core.draining = 1
        # The keeper still asks for what our clients wait for.
        self.close_listeners(self.shared, False, None)
        down_retire(self.core, NULL)
        throttle_let_go(self.core, NULL)
        self.tables.close_idle()
        core_bury_dead(self.core)

    # -- what goes on ----------------------------------------------------------------------

    def open_log(self, path: str, format: str) -> None:
        """Write the access log to *path* from now on: a file, `-` for stdout, `off`; lines before go where they went.

        OSError if it can not be opened; then nothing is changed.
        """
        log_open(self.core, path, format)

    def open_meter(self, folder: str, most: int = 100_000) -> None:
        """Meter limits in *folder*, with *most* keys an hour, "" for nowhere; SettingError if nothing can be kept there."""
        meter_open(self.core, folder, self.on_event, most)

    def time_picks(self, pool: str, count: int) -> float:
        """Return the nanoseconds of a choice in *pool*, the mean of *count*; for bench/pick.py."""
        return self.tables.time_picks(pool, count)

    def time_limits(self, service: str, head: bytes, keys: int, count: int) -> float:
        """Return the nanoseconds that the limits of *service*, else its split, cost a request, the mean of *count*; for bench."""
        return self.tables.time_limits(service, head, keys, count)

    def clients(self) -> int:
        """Return the number of open client connections; those of the keeper count while they are at work."""
        cdef Client* c = self.core.clients
        cdef int idle = 0
        while c != NULL:
            idle += c.inner and c.ex == NULL
            c = c.next
        return self.core.n_clients - idle

    def inspect(self, question: str) -> list:
        """Return rows for `socks`, `states`, `pending` or `waiting`; ValueError for anything else."""
        core_refresh(self.core)
        return describe(question, all_rows(self.core, self.tables.all_nodes()))

    def close(self) -> None:
        """Close every connection and listener at once and leave the hub."""
        if self.watcher is not None:
            self.watcher.stop()
            self.watcher.close()
            self.timer.stop()
            self.timer.close()
            self.watcher = self.timer = self.loop = None
        while self.core.clients != NULL:
            down_close(self.core.clients, 0)
        self.close_listeners(self.shared, True, None)
        while self.core.clients != NULL:
            down_close(self.core.clients, 0)
        self.tables.close()
        core_bury_dead(self.core)
        meter_close(self.core)
        log_close(self.core)


PHASES = ("connect", "verify", "send", "response", "timeout")
