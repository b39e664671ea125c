"""What the log is told of: records that plane.pyx hands to the supervisor after the batch."""

from libc.stdint cimport uint32_t
from libc.string cimport memcpy, strncpy

from wsgistack.balancer.plane.core cimport NAME_BYTES, Client, EventRecord, core_event
from wsgistack.balancer.plane.own_answer cimport why_name


cdef void event_refused(Client* c, int status) noexcept nogil:
    cdef EventRecord* e = core_event(c.ep.core)
    if e == NULL:
        return
    e.kind = 1
    e.status = status
    e.why = why_name(c.ex)
    strncpy(e.service, c.service.name, NAME_BYTES - 1)
    memcpy(e.peer, c.peer, c.peer_len)
    e.port = c.port


cdef void event_unbudgeted(Client* c) noexcept nogil:
    cdef EventRecord* e = core_event(c.ep.core)
    if e != NULL:
        e.kind = 3
        strncpy(e.service, c.service.name, NAME_BYTES - 1)


# The events of Throttle, in the order of the enum.
cdef const char* THROTTLE_EVENTS[7]
THROTTLE_EVENTS[:] = [
    b"throttle_ban", b"throttle_unban", b"throttle_whitelisted", b"throttle_blacklisted", b"throttle_concurrent",
    b"throttle_throttled", b"throttle_banned",
]


cdef void event_throttled(Client* c, uint32_t logged, int event) noexcept nogil:
    cdef EventRecord* e
    if not logged >> event & 1:
        return
    e = core_event(c.ep.core)
    if e == NULL:
        return
    e.kind = 4
    e.why = THROTTLE_EVENTS[event]
    strncpy(e.service, c.service.name, NAME_BYTES - 1)
    memcpy(e.peer, c.peer, c.peer_len)
    e.port = c.port
