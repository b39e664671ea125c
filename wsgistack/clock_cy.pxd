cdef class SteadyClock:
    cdef object _wall_ns, _monotonic_ns   # the latter None for the machine's own
    cdef long long _ahead, _look_at

    cdef long long now(self) except? -1
    cdef long long _now_ns(self) except? -1
