# What a plane is doing, as rows for the admin port.

from wsgistack.balancer.plane.core cimport Core

cdef list all_rows(Core* core, list nodes)
cdef str client_name(const char* peer, unsigned short port)
