"""The compiled twin of `wsgistack.store.memcached.channel`: the same calls over the same sockets.

It sends and receives by the kernel's descriptor, into a buffer that all channels share.
"""

import sys

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from libc.errno cimport EAGAIN, EINTR, errno
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from gevent import getcurrent

from wsgistack.store.memcached.calls_cy cimport Call
from wsgistack.store.memcached.gauges_cy cimport Patience
from wsgistack.store.memcached.replies_cy cimport Replies
from wsgistack.store.memcached.calls import BARE as _BARE, LINES as _LINES
from wsgistack.store.memcached.calls import expect as _expect
from wsgistack.store.memcached.channel import GLANCE_EVERY as _GLANCE_EVERY, LATE_GLANCE_S as _LATE_GLANCE_S
from wsgistack.store.memcached.channel import MOST_GLANCES as _MOST_GLANCES, MOST_LUCK as _MOST_LUCK

__all__ = ["Channel"]

cdef extern from "sys/socket.h" nogil:
    int MSG_NOSIGNAL
    Py_ssize_t recv(int fd, void* buffer, size_t size, int flags)
    Py_ssize_t send(int fd, const void* buffer, size_t size, int flags)

cdef extern from "sched.h" nogil:
    int sched_yield()

cdef enum:
    PORTION = 65_536
    MOST_HOLLOW = 512  # places of calls that are over, before those behind move up

# Of all channels: what is in it was understood before anybody else runs.  Not on the stack, which a
# switch of greenlets would have to copy.
cdef char buffer[PORTION]
cdef object BARE = _BARE
cdef str LEASE = "lease"
cdef object LINES = _LINES
cdef int GLANCE_EVERY = _GLANCE_EVERY
cdef int MOST_GLANCES = _MOST_GLANCES
cdef int MOST_LUCK = _MOST_LUCK
cdef object expect = _expect
cdef object current = getcurrent


cdef double monotonic() noexcept:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <double>now.tv_sec + <double>now.tv_nsec * 1e-9


cdef class Channel:
    """See the plain twin."""

    def __init__(
        self,
        object hub,
        object node,
        object owner,
        *,
        Py_ssize_t most_bytes,
        Py_ssize_t most_calls,
        double late_glance_s=_LATE_GLANCE_S,
    ) -> None:
        self._hub = hub
        self._loop = hub.loop
        self._due = getattr(hub.loop, "_callbacks", None)
        self._luck = MOST_LUCK
        self._late_glance_s = late_glance_s
        self._node = node
        self._owner = owner
        self._counters = node.counters
        self._latency = node.counters.latency
        self._replies = Replies()
        self._sent = []
        self._out = []
        self._fd = -1
        self._most_bytes = most_bytes
        self._most_calls = most_calls

    @property
    def is_full(self) -> bool:
        return self.has_no_room()

    cdef bint has_no_room(self) noexcept:
        return self.out_bytes > self._most_bytes or PyList_GET_SIZE(self._sent) - self._head > self._most_calls

    def __len__(self) -> int:
        return PyList_GET_SIZE(self._sent) - self._head

    def calls(self) -> list:
        """See the plain twin."""
        return self._sent[self._head :]

    def carry(self, Call call) -> None:
        """See the plain twin."""
        self.bring(call, current())

    cdef int bring(self, Call call, object greenlet) except -1:
        self._submit(call)
        if self.may_glance(call) and self.glance(call):
            return 0
        switch = self._hub.switch
        call.wake = greenlet.switch
        try:
            while call.wake is not None:
                switch()
        finally:
            call.wake = None
        return 0

    cdef bint may_glance(self, Call call) except -1:
        # See the plain twin.
        if self._due is None or self._is_stuck or self.has_parked or self.sock is None:
            return False
        if PyList_GET_SIZE(self._sent) != self._head + 1 or (self._is_corked and not self._is_last):
            return False
        if PyList_GET_SIZE(self._out):
            return False
        turn = self._loop.iteration
        if turn != self._turn:
            self._turn = turn
            self._glances = 0
        if self._due:
            if call.verb != LEASE or turn == self._hurried_in:
                return False
            self._hurried_in = turn
        if self._glances >= MOST_GLANCES:
            return False
        if self._luck > 0:
            return True
        self._skipped = (self._skipped + 1) % GLANCE_EVERY
        return self._skipped == 0

    cdef bint glance(self, Call call) except -1:
        # See the plain twin.
        sched_yield()
        cdef Py_ssize_t size = recv(self._fd, buffer, PORTION, 0)
        cdef double now = monotonic()
        self._glances += 1
        if now - call.started_at > self._late_glance_s:
            self._luck = 0
        elif size > 0:
            self._luck = MOST_LUCK
        elif self._luck > 0:
            self._luck -= 1
        if size <= 0:
            return False
        cdef list answers = self._replies.scan(buffer, size)
        self.heard_at = now
        if self._replies.fault is not None:
            self._loop.run_callback(self._owner.fail, "garbage", self.sock)
        if not PyList_GET_SIZE(answers):
            return False
        self._note(self._pop(1))
        call.finish(<object>PyList_GET_ITEM(answers, 0), None)
        return True

    def submit(self, Call call) -> None:
        """See the plain twin."""
        self._submit(call)

    cdef int _submit(self, Call call) except -1:
        if self.sock is None:
            self._owner.connect_soon()
        if call.kind is LINES:
            self._replies.add_lines(call.count, call.opaque, call.is_fatal)
        elif call.kind is BARE:
            self._replies.add_bare(call.keys)
        else:
            expect(self._replies, call)
        call.started_at = monotonic()
        cdef bint was_quiet = PyList_GET_SIZE(self._sent) == self._head
        self._sent.append(call)
        self._out.append(call.payload)
        self.out_bytes += PyBytes_GET_SIZE(call.payload)
        if not self.is_watched:
            self._owner.watch(self._node.patience.seconds)
        if self.sock is None or (self._is_corked and not (self._is_last and was_quiet)):
            return 0
        if was_quiet:
            self._flush()
        else:
            self._is_corked = True
            self._loop.run_callback(self._uncork)
        return 0

    def open(self, object sock) -> None:
        """See the plain twin."""
        self.sock = sock
        self._fd = sock.fileno()
        self.heard_at = self.connected_at = monotonic()
        if self._out:
            self._flush()

    def flush(self) -> None:
        """See the plain twin."""
        if self.sock is not None:
            self._flush()

    cdef int _flush(self) except -1:
        cdef list out = self._out
        cdef bytes data = <bytes>PyList_GET_ITEM(out, 0) if PyList_GET_SIZE(out) == 1 else b"".join(out)
        cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
        cdef Py_ssize_t sent = send(self._fd, PyBytes_AS_STRING(data), size, MSG_NOSIGNAL)
        if sent < 0:
            if errno not in (EAGAIN, EINTR):
                self._loop.run_callback(self._owner.fail, "lost", self.sock)
                return 0
            sent = 0
        self.out_bytes = size - sent
        if self.out_bytes:
            self._out = [data[sent:]]
            if not self._is_stuck:
                self._is_stuck = True
                self._owner.wait_for_room()
            return 0
        out.clear()
        if self._is_stuck:
            self._is_stuck = False
            self._owner.all_sent()
        return 0

    def read(self) -> None:
        """See the plain twin."""
        sock = self.sock
        if sock is None:
            return
        cdef Py_ssize_t size = recv(self._fd, buffer, PORTION, 0)
        if size <= 0:
            if size < 0 and errno in (EAGAIN, EINTR):
                return
            self._owner.fail("lost", sock)
            return
        cdef list answers = self._replies.scan(buffer, size)
        self.heard_at = monotonic()
        if PyList_GET_SIZE(answers):
            self._finish(answers)
        if self._replies.fault is not None:
            self._owner.fail("garbage", sock)
        elif self._out and self.sock is not None:
            self._flush()
        if self.has_parked:
            self._owner.unpark()

    cdef int _finish(self, list answers) except -1:
        cdef Py_ssize_t count = PyList_GET_SIZE(answers)
        cdef Py_ssize_t index
        cdef list calls = self._pop(count)
        self._note(calls)
        self._is_corked = True
        for index in range(count):
            self._is_last = index + 1 == count
            try:
                (<Call>PyList_GET_ITEM(calls, index)).finish(<object>PyList_GET_ITEM(answers, index), None)
            except BaseException:
                self._hub.handle_error(self, *sys.exc_info())
        self._is_corked = self._is_last = False
        return 0

    cdef int _note(self, list calls) except -1:
        # See the plain twin.
        cdef double started_at = (<Call>PyList_GET_ITEM(calls, 0)).started_at
        if started_at > self.connected_at:
            (<Patience?>self._node.patience).answered(self.heard_at - started_at)
        self._counters.calls += PyList_GET_SIZE(calls)
        self._latency.add(self.heard_at - started_at)
        return 0

    cdef list _pop(self, Py_ssize_t count):
        # The oldest calls; there are that many, for the reader of replies answers none that it does not expect.
        cdef Py_ssize_t end = self._head + count
        cdef list calls
        if end == PyList_GET_SIZE(self._sent):
            calls = self._sent[self._head :] if self._head else self._sent
            self._sent = []
            self._head = 0
            return calls
        calls = self._sent[self._head : end]
        self._head = end
        if end > MOST_HOLLOW:
            del self._sent[:end]
            self._head = 0
        return calls

    def detach(self) -> object:
        """See the plain twin."""
        sock = self.sock
        self.sock = None
        self._fd = -1
        self._replies = Replies()
        self._out.clear()
        self.out_bytes = 0
        self._is_stuck = False
        return sock

    def take(self) -> list:
        """See the plain twin."""
        cdef list calls = self._sent[self._head :]
        self._sent = []
        self._head = 0
        return calls

    def _uncork(self) -> None:
        self._is_corked = False
        if self._out and self.sock is not None:
            self._flush()
