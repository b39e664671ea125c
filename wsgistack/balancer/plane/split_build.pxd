# From a snapshot's split (Rule.as_wire) to what workers decide by.

from wsgistack.balancer.plane.core cimport Split

cdef Split* make_split(dict spec, dict pools) except NULL
cdef void free_split(Split* split) noexcept
