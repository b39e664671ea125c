# The plane's services, pools and nodes by name, and how a snapshot changes them.

from wsgistack.balancer.plane.core cimport Core, Node, Pool, Service


cdef class Tables:
    cdef Core* core
    cdef dict services           # name -> pointer of Service
    cdef dict nodes              # address -> pointer of Node
    cdef dict pools              # name -> pointer of Pool
    cdef dict lists              # path -> the ends of its networks
    cdef dict list_texts         # path -> the same as the snapshot had it
    cdef dict algorithms         # name -> the function behind Pool.algorithm
    cdef Service* service(self, str name) except NULL
    cdef apply(self, dict snapshot)
    cdef double time_picks(self, str name, int count) except -1
    cdef double time_limits(self, str name, bytes head, int keys, int count) except -1
    cdef list all_nodes(self)    # pointers, for rows.all_rows
    cdef close_idle(self)
    cdef close(self)
    cdef size_t build_pool(self, str name, dict spec) except 0
    cdef mark_capped(self)
    cdef end_holds(self, Pool* pool, Pool* old)
    cdef set_algorithm(self, Pool* pool, str algorithm)
    cdef Node* find_or_make_node(self, dict spec) except NULL
    cdef drop_nodes(self, set wanted)
    cdef put_service(self, str name, dict spec)
    cdef put_gate(self, Service* s, dict spec, dict limits)
    cdef put_split(self, Service* s, dict spec)
    cdef drop_gate(self, Service* s)
    cdef take_lists(self, dict texts)
    cdef put_pages(self, Service* s, dict spec, dict snapshot)
    cdef drop_pages(self, Service* s)
    cdef drop_services(self, set wanted)
