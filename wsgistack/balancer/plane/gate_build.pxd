# From a snapshot's limits to a Gate; see gate_build.pyx.

from wsgistack.balancer.plane.gates cimport Gate

cdef Gate* make_gate(list limits, bint dry_run) except NULL
cdef void free_gate(Gate* gate) noexcept
