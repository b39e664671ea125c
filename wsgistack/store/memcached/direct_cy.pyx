"""The compiled twin of `wsgistack.store.memcached.direct`: the same ways, each in one step."""

from cpython.dict cimport PyDict_GetItemWithError
from cpython.object cimport PyObject
from cpython.tuple cimport PyTuple_GET_ITEM

from gevent import getcurrent

from wsgistack.store.memcached.calls_cy cimport Call, Wait, make_get
from wsgistack.store.memcached.channel_cy cimport Channel
from wsgistack.store.memcached.singles cimport find_plain
from wsgistack.store.memcached import hubs as _hubs
from wsgistack.store.memcached.calls import BULK_BYTES as _BULK_BYTES
from wsgistack.store.memcached.replies import Reply as _Reply

__all__ = ["ask", "carry_all"]

cdef object hubs = _hubs
cdef object current = getcurrent
cdef object Reply = _Reply
cdef Py_ssize_t BULK_BYTES = _BULK_BYTES


def ask(object cluster, dict made, set large, object name) -> object:
    """See the plain twin."""
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
    cdef Call call = make_get(key)
    channel.bring(call, greenlet)
    value = find_plain(call.answer, Reply, BULK_BYTES)
    if value is None:
        return node, call
    node.counters.hits += 1
    return value


def carry_all(dict links, dict bulk_links, object hub, object pairs) -> bool:
    """See the plain twin."""
    cdef list channels = []
    cdef Channel channel
    cdef PyObject* link
    cdef Py_ssize_t number = 0
    greenlet = current()
    if greenlet is hub:
        return False
    for node, call in pairs:
        link = PyDict_GetItemWithError(links, node)
        if link == NULL or (<Call?>call).is_bulk or not node.may_write or node.is_classic:
            return False
        if bulk_links and node in bulk_links and bulk_links[node].is_busy:
            return False
        found = (<object>link).channel
        if not isinstance(found, Channel) or (<Channel>found).sock is None or (<Channel>found).has_no_room():
            return False
        channels.append(found)
    cdef Wait wait = Wait.__new__(Wait)
    wait.missing = len(channels)
    switch = hub.switch
    try:
        for node, call in pairs:
            channel = <Channel>channels[number]
            number += 1
            (<Call>call).wait = wait
            channel._submit(<Call>call)
        wait.wake = greenlet.switch
        while wait.missing:
            switch()
    finally:
        wait.wake = None
    return True
