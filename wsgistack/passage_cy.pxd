cdef class Passage


cdef class Step:
    cdef object do_enter(self, environ, Passage passage)
    cdef int do_end(self, Passage passage) except -1
    cdef object do_settle(self, Passage passage, rest)
    cdef int do_shape(self, Passage passage) except -1
    cdef object do_mark(self, Passage passage, about)


cdef class Passage:
    cdef public object environ, head, status, cache_status, request_id, recoding, clock
    cdef public list headers
    cdef public dict fields
    cdef public long long sent, began_ns, took_us
    cdef public double started_at
    cdef Step _settler, _shaper, _marker
    cdef object _start_response, _write, _body, _rest, _blocks, _cached, _about
    cdef tuple _ends
    cdef list _added
    cdef bint _is_held, _is_sent, _is_open, _is_late, _is_begun, _is_away

    cdef int _begin(self, environ, start_response, tuple ends, clock, bint is_own) except -1
    cdef long long _now_ns(self) except? -1
    cdef int _send(self, exc_info) except -1
    cdef object _settle(self, rest)
    cdef object _begin_late(self, blocks)
    cdef int _fail(self, tuple ends) except -1
    cdef int _tell(self, tuple ends) except -1
    cdef object _watch(self, body)
    cdef int more(self, fields) except -1
    cdef int note(self, tuple field) except -1
