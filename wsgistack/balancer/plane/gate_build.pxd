# From a snapshot's limits to a Gate; see gate_build.pyx.

from wsgistack.balancer.plane.gates cimport Gate

# *allow*, *deny*: the ends of networks as Ranges has them, b"" for none.
cdef Gate* make_gate(list limits, dict settings, bytes allow, bytes deny, dict throttle) except NULL
cdef void free_gate(Gate* gate) noexcept
