# What the log is told of: records that plane.pyx hands to the supervisor after the batch.

from wsgistack.balancer.plane.core cimport Client

# The exchange was answered by us with this status, or cut (0).
cdef void event_refused(Client* c, int status) noexcept nogil
# It was not sent again, because the retry budget is spent.
cdef void event_unbudgeted(Client* c) noexcept nogil
