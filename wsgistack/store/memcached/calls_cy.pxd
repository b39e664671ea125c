# What other compiled modules may read of a call.

cdef class Wait:
    cdef public Py_ssize_t missing
    cdef public object wake


cdef class Call:
    cdef public bytes payload
    cdef public str kind
    cdef public str verb
    cdef public tuple words
    cdef public list keys
    cdef public Py_ssize_t count
    cdef public unsigned long long opaque
    cdef public bint is_fatal
    cdef public bint is_bulk
    cdef public object answer
    cdef public object failure
    cdef public Wait wait
    cdef public object wake
    cdef public double started_at
    cpdef finish(self, object answer, object failure)


cdef Call make_get(bytes key)
cdef Call make_bare(list keys)
