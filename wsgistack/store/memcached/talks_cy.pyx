"""The compiled twin of `wsgistack.store.memcached.talks`: the same calls over the same connections.

It sends and receives by the kernel's descriptor.  No Python code runs between the steps, so that
what a signal's handler raises comes in between only where a receive was interrupted.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItemWithError
from cpython.exc cimport PyErr_CheckSignals, PyErr_SetFromErrno
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from cpython.object cimport PyObject
from cpython.tuple cimport PyTuple_GET_ITEM
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdlib cimport free, malloc
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from wsgistack.store.memcached.calls_cy cimport Call, make_get
from wsgistack.store.memcached.replies_cy cimport Replies
from wsgistack.store.memcached.singles cimport find_plain
from wsgistack.store.memcached import hubs as _hubs
from wsgistack.store.memcached.calls import BARE as _BARE, BULK_BYTES as _BULK_BYTES, LINES as _LINES
from wsgistack.store.memcached.calls import expect as _expect
from wsgistack.store.memcached.health import TURNS as _TURNS
from wsgistack.store.memcached.replies import Reply as _Reply
from wsgistack.store.memcached.talks import CHANGE as _CHANGE, IDLE_CHECK_S as _IDLE_CHECK_S
from wsgistack.store.memcached.talks import Trouble as _Trouble, set_limit as _set_limit

__all__ = ["Connection", "ask", "talk"]

cdef extern from "sys/socket.h" nogil:
    int MSG_DONTWAIT
    int MSG_NOSIGNAL
    Py_ssize_t recv(int fd, void* buffer, size_t size, int flags)
    Py_ssize_t send(int fd, const void* buffer, size_t size, int flags)

cdef enum:
    PORTION = 65_536

cdef object hubs = _hubs
cdef object expect = _expect
cdef object set_limit = _set_limit
cdef object Reply = _Reply
cdef object Trouble = _Trouble
cdef str BARE = _BARE
cdef str LINES = _LINES
cdef bytes NOTHING = b""
cdef Py_ssize_t BULK_BYTES = _BULK_BYTES
cdef double CHANGE = _CHANGE
cdef double IDLE_CHECK_S = _IDLE_CHECK_S
cdef double TURNS = _TURNS


cdef double monotonic() noexcept:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <double>now.tv_sec + <double>now.tv_nsec * 1e-9


cdef class Connection:
    """See the plain twin."""

    cdef readonly object sock
    cdef readonly Replies replies
    cdef readonly list calls
    cdef public double limit_s
    cdef public double rested_at
    cdef public bint is_late
    cdef int fd
    cdef object __weakref__

    def __init__(self, object sock, double limit_s) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.replies = Replies()
        self.calls = []
        self.limit_s = limit_s

    def receive(self) -> int:
        """See the plain twin."""
        cdef char* buffer
        if self.replies.fault is not None and self.calls:
            raise Trouble("garbage")
        buffer = <char*>malloc(PORTION)
        if buffer == NULL:
            raise MemoryError
        try:
            return self.read(buffer)
        finally:
            free(buffer)

    cdef Py_ssize_t read(self, char* buffer) except -1:
        # A portion, as `receive` does.
        cdef Py_ssize_t size, count, index
        cdef int fd = self.fd
        cdef list answers
        while True:
            with nogil:
                size = recv(fd, buffer, PORTION, 0)
            if size > 0:
                break
            if size == 0:
                raise Trouble("lost")
            if errno != EINTR:
                PyErr_SetFromErrno(OSError)
            PyErr_CheckSignals()
            fd = self.sock.fileno()  # -1 in a child that the handler forked
        answers = self.replies.scan(buffer, size)
        count = PyList_GET_SIZE(answers)
        for index in range(count):
            (<Call>PyList_GET_ITEM(self.calls, index)).finish(<object>PyList_GET_ITEM(answers, index), None)
        del self.calls[:count]
        if self.replies.fault is not None and self.calls:
            raise Trouble("garbage")
        return count


def talk(dict rests, object pairs, dict under_way, double due_at) -> tuple:
    """See the plain twin."""
    cdef double now = monotonic()
    cdef double patience_s
    cdef Py_ssize_t number = 0
    cdef Py_ssize_t size, sent
    cdef Connection connection
    cdef Call call
    for node, made in pairs:
        connection = find(rests, node, under_way, now)
        if connection is None:
            return number, NOTHING
        call = made
        patience_s = node.patience.seconds
        if is_off(patience_s, connection.limit_s) or due_at - now < connection.limit_s:
            set_limit(connection, patience_s, due_at - now)
        call.started_at = now
        if call.kind is LINES:
            connection.replies.add_lines(call.count, call.opaque, call.is_fatal)
        elif call.kind is BARE:
            connection.replies.add_bare(call.keys)
        else:
            expect(connection.replies, call)
        connection.calls.append(call)
        number += 1
        size = PyBytes_GET_SIZE(call.payload)
        sent = send(connection.fd, PyBytes_AS_STRING(call.payload), size, MSG_DONTWAIT | MSG_NOSIGNAL)
        if sent < size:
            return number, call.payload[max(sent, 0) :]
    read_all(under_way)
    return number, NOTHING


cdef inline bint is_off(double patience_s, double limit_s) noexcept:
    cdef double off = patience_s - limit_s
    return (off if off >= 0 else -off) > CHANGE * limit_s


cdef Connection find(dict rests, object node, dict under_way, double now):
    # The connection to use for a node, put into under_way; None if there is none.
    cdef PyObject* found
    cdef list resting
    cdef Connection connection
    if not node.may_write or node.is_classic:
        return None
    found = PyDict_GetItemWithError(under_way, node)
    if found != NULL:
        return <Connection><object>PyTuple_GET_ITEM(<object>found, 1)
    found = PyDict_GetItemWithError(rests, node)
    if found == NULL:
        return None
    rest = <object>found
    resting = rest.resting
    if rest.interrupted or not PyList_GET_SIZE(resting):
        return None
    connection = resting.pop()
    if now - connection.rested_at >= IDLE_CHECK_S:
        resting.append(connection)
        return None
    connection.rested_at = 0.0
    under_way[node] = (rest, connection)
    return connection


cdef int read_all(dict under_way) except -1:
    # See `_read` of the plain twin.
    cdef char* buffer = <char*>malloc(PORTION)
    cdef tuple pair
    cdef Connection connection
    if buffer == NULL:
        raise MemoryError
    try:
        for node in list(under_way):
            pair = under_way[node]
            if not read_one(node, <Connection>pair[1], buffer):
                return 0
            rest, connection = pair[0], <Connection>pair[1]
            connection.rested_at = monotonic()
            rest.resting.append(connection)
            del under_way[node]
            if rest.waiting:
                rest.let_in()
    finally:
        free(buffer)
    return 0


cdef bint read_one(object node, Connection connection, char* buffer) except -1:
    # Whether all calls of a connection are answered, and it may rest.
    cdef double started_at, took_s
    cdef Py_ssize_t count
    while PyList_GET_SIZE(connection.calls):
        started_at = (<Call>PyList_GET_ITEM(connection.calls, 0)).started_at
        try:
            count = connection.read(buffer)
        except BlockingIOError:
            connection.is_late = True
            return False
        except (Trouble, OSError):
            return False
        took_s = monotonic() - started_at
        if count:
            node.patience.answered(took_s)
            counters = node.counters
            counters.latency.add(took_s)
            counters.calls += count
        elif took_s > connection.limit_s / TURNS:
            return False
    return connection.replies.fault is None


def ask(object cluster, dict made, set large, object name) -> object:
    """See the plain twin."""
    cdef PyObject* wire = PyDict_GetItemWithError(made, name)
    if wire == NULL or <object>PyTuple_GET_ITEM(<object>wire, 1) is not None:
        return None
    cdef bytes key = <object>PyTuple_GET_ITEM(<object>wire, 0)
    cdef PyObject* found = PyDict_GetItemWithError(<dict>cluster.snapshot[2], key)
    cdef tuple last = cluster.lanes.last
    if found == NULL or last[0] is not None or hubs.find() is not None or (large and key in large):
        return None
    node = <object>found
    if not node.may_read:
        return None
    cdef Call call = make_get(key)
    last[1].run(((node, call),))
    value = find_plain(call.answer, Reply, BULK_BYTES)
    if value is None:
        return node, call
    node.counters.hits += 1
    return value
