"""The plane's services, pools and nodes by name, and how a snapshot changes them.

A snapshot replaces every pool; nodes are kept by address and services by name, since
connections refer to them.  A structure that is in use outlives its name here (refs).
"""

from base64 import b64decode

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc
from libc.string cimport memset, strncpy

from wsgistack.balancer.plane.board cimport KEEPER_ROW
from wsgistack.balancer.plane.configure cimport (
    fill_member,
    fill_node,
    fill_pool,
    fill_ring,
    fill_service,
    fill_sticky,
    free_pool,
    make_pool,
)
from wsgistack.balancer.plane.core cimport (
    NAME_BYTES,
    Core,
    Member,
    Node,
    Pool,
    Service,
    core_refresh,
    node_unref,
    service_unref,
)
from wsgistack.balancer.plane.downstream cimport down_retire
from wsgistack.balancer.plane.exchange cimport Exchange
from wsgistack.balancer.plane.gate cimport gate_time
from wsgistack.balancer.plane.gate_build cimport free_gate, make_gate
from wsgistack.balancer.plane.throttle cimport throttle_let_go
from wsgistack.balancer.plane.pages_build cimport free_page_rules, make_page_rules
from wsgistack.balancer.plane.pick cimport FOUND_NODE, give_place, prepare_pool, take_place
from wsgistack.balancer.plane.split cimport split_time
from wsgistack.balancer.plane.split_build cimport free_split, make_split
from wsgistack.balancer.plane.upstream cimport up_close, up_close_idle

from wsgistack.balancer.plane.kernels import KERNELS


cdef Member* find_member(Pool* pool, Node* node, uint32_t likely) noexcept:
    # Most changes leave the others where they were.
    cdef uint32_t i
    if likely < pool.n and pool.members[likely].node == node:
        return &pool.members[likely]
    for i in range(pool.n):
        if pool.members[i].node == node:
            return &pool.members[i]
    return NULL


cdef int put_name(Pool* pool, str name) except -1:
    strncpy(pool.name, name.encode(), NAME_BYTES - 1)
    return 0


def keeper_of(snapshot: dict, service: dict) -> str:
    """Return where the keeper of the page cache takes the requests of *service*."""
    return f"unix:{snapshot['folder']}/k{service['slot']}"


cdef class Tables:
    """See the module; owned by a Plane and used by it alone."""

    def __cinit__(self):
        self.services = {}
        self.nodes = {}
        self.pools = {}
        self.algorithms = {}
        self.lists = {}
        self.list_texts = {}

    cdef Service* service(self, str name) except NULL:
        if name not in self.services:
            raise KeyError(f"no service {name!r} in the snapshot")
        return <Service*><size_t>self.services[name]

    cdef apply(self, dict snapshot):
        self.core.max_clients = snapshot["server"]["max_connections"]
        self.take_lists(snapshot["lists"])
        old = self.pools
        self.pools = {name: self.build_pool(name, spec) for name, spec in snapshot["pools"].items()}
        proxies = {n: s for n, s in snapshot["services"].items() if s["role"] == "reverse_proxy"}
        for name, spec in proxies.items():
            self.put_service(name, spec)
            self.put_gate(self.service(name), spec, snapshot["limits"])
            self.put_pages(self.service(name), spec, snapshot)
        for name in self.services.keys() - proxies.keys():
            self.service(name).pool = NULL
            self.drop_pages(self.service(name))
            self.drop_gate(self.service(name))
            self.put_split(self.service(name), None)
        self.drop_services({n for n, s in proxies.items() if s["enabled"]})
        for pointer in old.values():
            free_pool(<Pool*><size_t>pointer)
        self.mark_capped()
        keepers = {keeper_of(snapshot, s) for s in proxies.values() if s.get("cache")}
        self.drop_nodes(keepers | {n["address"] for p in snapshot["pools"].values() for n in p["nodes"]})

    cdef size_t build_pool(self, str name, dict spec) except 0:
        cdef Pool* pool = make_pool(len(spec["nodes"]))
        cdef Pool* old = <Pool*><size_t>self.pools[name] if name in self.pools else NULL
        cdef Node* node
        cdef int i
        try:
            put_name(pool, name)
            fill_pool(pool, spec["settings"])
            for i, n in enumerate(spec["nodes"]):
                node = self.find_or_make_node(n)
                node.refs += 1
                pool.members[i].node = node
                fill_member(&pool.members[i], n, spec["settings"], self.core)
            self.set_algorithm(pool, spec["algorithm"])
            pool.admits = spec["admits"]
            if "ring" in spec:
                pool.keyed = 1
                fill_ring(&pool.ring, spec["ring"])
            prepare_pool(pool)
            if old != NULL:
                pool.state = old.state
                self.end_holds(pool, old)
        except BaseException:
            free_pool(pool)
            raise
        return <size_t>pool

    cdef mark_capped(self):
        cdef Pool* pool
        cdef uint32_t i
        for pointer in self.nodes.values():
            (<Node*><size_t>pointer).capped = 0
        for pointer in self.pools.values():
            pool = <Pool*><size_t>pointer
            for i in range(pool.n):
                pool.members[i].node.capped |= pool.members[i].cap > 0

    cdef end_holds(self, Pool* pool, Pool* old):
        # Health has judged: a node that it takes back waits for no hold of ours.
        cdef Member* before
        cdef uint32_t i
        for i in range(pool.n):
            before = find_member(old, pool.members[i].node, i)
            if before != NULL and pool.members[i].up and not before.up:
                self.core.board.holds[pool.members[i].node.slot].hold_until_ms = 0

    cdef set_algorithm(self, Pool* pool, str algorithm):
        pool.kernel = KERNELS.get(algorithm, -1)
        if pool.kernel == -1:
            from wsgistack.balancer.algorithms import find_algorithm

            self.algorithms[algorithm] = find_algorithm(algorithm).pick
            pool.algorithm = <void*>self.algorithms[algorithm]

    cdef Node* find_or_make_node(self, dict spec) except NULL:
        cdef Node* node
        address = spec["address"]
        if address in self.nodes:
            node = <Node*><size_t>self.nodes[address]
            node.removed = 0
        else:
            node = <Node*>calloc(1, sizeof(Node))
            if node == NULL:
                raise MemoryError
            node.refs = 1            # the table's own
            self.nodes[address] = <size_t>node
        fill_node(node, address, spec["connect"], spec["slot"])
        return node

    cdef drop_nodes(self, set wanted):
        cdef Node* node
        for address in [a for a in self.nodes if a not in wanted]:
            node = <Node*><size_t>self.nodes.pop(address)
            node.removed = 1         # a busy connection closes when its response is complete
            up_close_idle(node)
            node_unref(node)

    cdef put_service(self, str name, dict spec):
        cdef Service* s
        cdef Service* fresh
        if name in self.services:
            s = <Service*><size_t>self.services[name]
        else:
            s = <Service*>calloc(1, sizeof(Service))
            if s == NULL:
                raise MemoryError
            s.refs = 1
            strncpy(s.name, name.encode(), NAME_BYTES - 1)
            self.services[name] = <size_t>s
        s.slot = spec["slot"]
        self.core.services[s.slot] = s
        fill_service(s, spec["settings"], spec["insert"], spec["remove"], spec["listen"])
        s.pool = NULL
        if spec["pool"] is not None:
            s.pool = <Pool*><size_t>self.pools[spec["pool"]]
        fill_sticky(s, spec["settings"], spec["tokens"])
        self.put_split(s, spec.get("split"))
        s.closing = not spec["enabled"]

    cdef put_split(self, Service* s, dict spec):
        free_split(s.split)
        s.split = NULL
        if spec is not None:
            s.split = make_split(spec, self.pools)

    cdef put_gate(self, Service* s, dict spec, dict limits):
        settings = spec["settings"]
        allow, deny = self.lists.get(settings["allow_file"], b""), self.lists.get(settings["deny_file"], b"")
        if (spec["limits"] or spec.get("throttle")) and self.core.limits == NULL:
            raise ValueError("limits without a table")
        throttle = spec.get("throttle")
        self.drop_gate(s)
        if throttle is None:
            throttle_let_go(self.core, s)
        if spec["limits"] or deny or throttle is not None:
            s.gate = make_gate([limits[one] for one in spec["limits"]], settings, allow, deny, throttle)

    cdef drop_gate(self, Service* s):
        free_gate(s.gate)
        s.gate = NULL

    cdef take_lists(self, dict texts):
        # What did not change is not decoded again.
        same = {path for path, text in texts.items() if self.list_texts.get(path) == text}
        self.lists = {path: self.lists[path] if path in same else b64decode(text) for path, text in texts.items()}
        self.list_texts = texts

    cdef put_pages(self, Service* s, dict spec, dict snapshot):
        cdef Pool* pool
        self.drop_pages(s)
        if not spec.get("cache") or not snapshot["folder"]:
            return
        s.pages = make_page_rules(snapshot["caches"][spec["cache"]])
        pool = make_pool(1)
        pool.admits = 100
        pool.kernel = KERNELS["round_robin"]
        address = keeper_of(snapshot, spec)
        pool.members[0].node = self.find_or_make_node({"address": address, "connect": address, "slot": KEEPER_ROW})
        pool.members[0].node.is_keeper = 1
        pool.members[0].node.refs += 1
        pool.members[0].weight = 1
        pool.members[0].up = pool.members[0].usable = 1
        prepare_pool(pool)
        s.keeper = pool

    cdef drop_pages(self, Service* s):
        free_page_rules(s.pages)
        s.pages = NULL
        if s.keeper != NULL:
            free_pool(s.keeper)
            s.keeper = NULL

    cdef drop_services(self, set wanted):
        cdef Service* s
        for name in [n for n in self.services if n not in wanted]:
            s = <Service*><size_t>self.services[name]
            s.closing = 1
            down_retire(self.core, s)

    cdef double time_picks(self, str name, int count) except -1:
        # For bench/pick.py: nanoseconds of a choice, the place taken and given back; as under load,
        # with latencies known and a key in the request.
        cdef Pool* pool = <Pool*><size_t>self.pools[name]
        cdef Exchange ex
        cdef Node* node = NULL
        cdef uint32_t i
        cdef uint64_t began_us
        memset(&ex, 0, sizeof(ex))
        ex.has_key = 1
        core_refresh(self.core)
        for i in range(pool.n):
            self.core.board.mine.outcomes[pool.members[i].node.slot].latency_ns = 1000000 + i
            self.core.board.mine.outcomes[pool.members[i].node.slot].measured_us = self.core.now_us
        began_us = self.core.now_us
        for i in range(<uint32_t>count):
            ex.key = i * <uint32_t>2654435761
            if take_place(self.core, pool, &ex, &node) == FOUND_NODE:
                give_place(self.core, node)
        core_refresh(self.core)
        return (self.core.now_us - began_us) * 1000.0 / count

    cdef double time_limits(self, str name, bytes head, int keys, int count) except -1:
        cdef Service* s = self.service(name)
        if s.gate == NULL and s.split != NULL:
            return split_time(self.core, s, head, count)
        return gate_time(self.core, s, head, keys, count)

    cdef list all_nodes(self):
        return list(self.nodes.values())

    cdef close_idle(self):
        for pointer in self.nodes.values():
            up_close_idle(<Node*><size_t>pointer)

    cdef close(self):
        cdef Node* node
        for pointer in self.nodes.values():
            node = <Node*><size_t>pointer
            while node.all != NULL:
                up_close(node.all)
        for pointer in self.pools.values():
            free_pool(<Pool*><size_t>pointer)
        self.pools = {}
        self.drop_nodes(set())
        for pointer in self.services.values():
            self.core.services[(<Service*><size_t>pointer).slot] = NULL
            self.drop_gate(<Service*><size_t>pointer)
            self.put_split(<Service*><size_t>pointer, None)
            self.drop_pages(<Service*><size_t>pointer)
            service_unref(<Service*><size_t>pointer)
        self.services = {}
