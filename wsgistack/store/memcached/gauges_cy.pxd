# What other compiled modules may do with the gauges of a node.

cdef class Histogram:
    cdef long long counts[128]
    cpdef add(self, double seconds)


cdef class Patience:
    cdef readonly double limit_s
    cdef readonly double least_s
    cdef readonly double seconds
    cdef double _mean_s
    cdef double _deviation_s
    cpdef answered(self, double seconds)
