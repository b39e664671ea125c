"""What the modules of the plane share: clocks, random numbers, deferred frees, log events."""

from libc.stdint cimport uint64_t
from libc.stdlib cimport free
from libc.string cimport memset

cdef void core_refresh(Core* core) noexcept nogil:
    core.net.clock(&core.now_us, &core.epoch_ms)
    core.epoch_s = core.epoch_ms // 1000
    core.now_ms = core.now_us // 1000


cdef uint64_t core_random(Core* core) noexcept nogil:
    # xorshift64*: Vigna 2016, "An experimental exploration of Marsaglia's xorshift generators".
    core.rng ^= core.rng >> 12
    core.rng ^= core.rng << 25
    core.rng ^= core.rng >> 27
    return (core.rng * <uint64_t>2685821657736338717) >> 16


cdef void endpoint_bury(Endpoint* ep) noexcept nogil:
    # Events of the batch at hand may still point to it.
    ep.dead = 1
    ep.next_dead = ep.core.dead
    ep.core.dead = ep


cdef void core_bury_dead(Core* core) noexcept nogil:
    cdef Endpoint* ep
    while core.dead != NULL:
        ep = core.dead
        core.dead = ep.next_dead
        free(ep)


cdef EventRecord* core_event(Core* core) noexcept nogil:
    cdef EventRecord* e
    if core.n_events >= EVENTS:
        core.lost_events += 1
        return NULL
    e = &core.events[core.n_events]
    core.n_events += 1
    memset(e, 0, sizeof(EventRecord))
    return e


cdef void service_free_text(Service* service) noexcept nogil:
    free(service.insert)
    free(service.remove)
    free(service.tokens)
    service.insert = NULL
    service.remove = NULL
    service.tokens = NULL


cdef void service_unref(Service* service) noexcept nogil:
    service.refs -= 1
    if service.refs == 0:
        service_free_text(service)
        free(service)


cdef void node_unref(Node* node) noexcept nogil:
    node.refs -= 1
    if node.refs == 0:
        free(node)
