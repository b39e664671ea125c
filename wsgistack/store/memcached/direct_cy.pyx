"""The compiled twin of `wsgistack.store.memcached.direct`: the same way, in one step."""

from cpython.dict cimport PyDict_GetItemWithError
from cpython.object cimport PyObject
from cpython.tuple cimport PyTuple_GET_ITEM

from gevent import getcurrent

from wsgistack.store.memcached.calls_cy cimport Call
from wsgistack.store.memcached.channel_cy cimport Channel
from wsgistack.store.memcached.singles cimport find_plain, write_get
from wsgistack.store.memcached import hubs as _hubs
from wsgistack.store.memcached.calls import BULK_BYTES as _BULK_BYTES, LINES as _LINES
from wsgistack.store.memcached.replies import Reply as _Reply
from wsgistack.store.memcached.singles import FIRST_OPAQUE as _FIRST, LAST_OPAQUE as _LAST

__all__ = ["ask"]

cdef object hubs = _hubs
cdef object current = getcurrent
cdef str LINES = _LINES
cdef str VERB = "get"
cdef tuple WORDS = (None,)
cdef object Reply = _Reply
cdef Py_ssize_t BULK_BYTES = _BULK_BYTES
cdef unsigned long long FIRST = _FIRST
cdef unsigned long long LAST = _LAST
cdef unsigned long long opaque = _LAST


def ask(object cluster, dict made, set large, object name) -> object:
    """See the plain twin."""
    global opaque
    cdef PyObject* wire = PyDict_GetItemWithError(made, name)
    if wire == NULL or <object>PyTuple_GET_ITEM(<object>wire, 1) is not None:
        return None
    cdef bytes key = <object>PyTuple_GET_ITEM(<object>wire, 0)
    cdef PyObject* found = PyDict_GetItemWithError(<dict>cluster.snapshot[2], key)
    cdef tuple last = cluster.lanes.last
    hub = last[0]
    if found == NULL or hub is None or hubs.peek() is not hub or (large and key in large):
        return None
    node = <object>found
    lane = last[1]
    cdef PyObject* link = PyDict_GetItemWithError(<dict>lane.links, node)
    greenlet = current()
    if link == NULL or not node.may_read or node.is_classic or greenlet is hub:
        return None
    cdef dict bulk_links = lane.bulk_links
    if bulk_links and node in bulk_links and bulk_links[node].is_busy:
        return None
    cdef Channel channel = (<object>link).channel
    if channel.sock is None or channel.has_no_room():
        return None
    opaque = opaque + 1 if opaque < LAST else FIRST
    cdef Call call = Call.__new__(Call)
    call.payload = write_get(key, opaque)
    call.kind = LINES
    call.verb = VERB
    call.words = WORDS
    call.keys = [key]
    call.count = 1
    call.opaque = opaque
    channel.bring(call, greenlet)
    value = find_plain(call.answer, Reply, BULK_BYTES)
    if value is None:
        return node, call
    node.counters.hits += 1
    return value
