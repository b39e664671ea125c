# From a snapshot's caches to what the workers tell requests apart by. Holds the GIL; runs once per change.

from wsgistack.balancer.plane.page_rules cimport PageRules

cdef PageRules* make_page_rules(dict cache) except NULL
cdef void free_page_rules(PageRules* rules) noexcept
