from cpython.ref cimport PyObject


cdef class Bucket:
    cdef object parts, step, full       # of any size
    cdef long long c_parts, c_step, c_full
    cdef long long latest, most_cost    # beyond these, c_... do not suffice

    cdef object arrival(self, PyObject* state, object cost, object now)
    cdef object any_arrival(self, PyObject* state, object cost, object now)


cdef class Door:
    cdef readonly object locked
    cdef object _acquire, _release
    cdef bint inside

    cdef int enter(self) except -1
    cdef int leave(self) except -1


cdef class Taker:
    cdef list _shards, _decides, _buckets
    cdef Py_ssize_t _count
    cdef readonly Door lock
    cdef object _place, _get

    cdef tuple _one(self, Py_ssize_t number, bytes key, cost, now)
    cdef object _quickly(self, claims, now)
    cdef object _shard(self, Py_ssize_t number, mark)


cdef class Steps:
    cdef Taker taker
    cdef list steps
    cdef Py_ssize_t number          # of a single one, else -1
    cdef object cost
    cdef Bucket bucket

    cdef object quickly(self, bytes key, now)
