# What other compiled modules may do with a channel.

from wsgistack.store.memcached.calls_cy cimport Call
from wsgistack.store.memcached.gauges_cy cimport Histogram
from wsgistack.store.memcached.replies_cy cimport Replies


cdef class Channel:
    cdef readonly object sock
    cdef readonly double connected_at
    cdef public double heard_at
    cdef readonly Py_ssize_t out_bytes
    cdef public bint is_watched
    cdef public bint has_parked
    cdef object _hub
    cdef object _loop
    cdef object _due
    cdef object _turn
    cdef object _hurried_in
    cdef double _late_glance_s
    cdef int _luck
    cdef int _glances
    cdef int _skipped
    cdef object _node
    cdef object _owner
    cdef object _counters
    cdef Histogram _latency
    cdef Replies _replies
    cdef list _sent  # from _head on
    cdef Py_ssize_t _head
    cdef list _out
    cdef bint _is_corked
    cdef bint _is_last
    cdef bint _is_stuck
    cdef int _fd
    cdef Py_ssize_t _most_bytes
    cdef Py_ssize_t _most_calls

    cdef bint has_no_room(self) noexcept
    cdef int bring(self, Call call, object greenlet) except -1
    cdef bint may_glance(self, Call call) except -1
    cdef bint glance(self, Call call) except -1
    cdef int _submit(self, Call call) except -1
    cdef int _flush(self) except -1
    cdef int _finish(self, list answers) except -1
    cdef int _note(self, list calls) except -1
    cdef list _pop(self, Py_ssize_t count)
