"""What the log is told of: records that plane.pyx hands to the supervisor after the batch."""

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
