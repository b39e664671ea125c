# What the log is told of: records that plane.pyx hands to the supervisor after the batch.

from libc.stdint cimport uint32_t

from wsgistack.balancer.plane.core cimport Client

cdef enum:                       # of Throttle, in the order of balancer/throttle.EVENTS
    EVENT_BAN = 0
    EVENT_UNBAN
    EVENT_WHITELISTED
    EVENT_BLACKLISTED
    EVENT_CONCURRENT
    EVENT_THROTTLED
    EVENT_BANNED

# The exchange was answered by us with this status, or cut (0).
cdef void event_refused(Client* c, int status) noexcept nogil
# It was not sent again, because the retry budget is spent.
cdef void event_unbudgeted(Client* c) noexcept nogil
# Throttle did that to its client; `logged` has a bit for each event that is told.
cdef void event_throttled(Client* c, uint32_t logged, int event) noexcept nogil
