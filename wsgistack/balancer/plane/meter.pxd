# Who asked how often: counts in files that are mapped; see meter.pyx.

from wsgistack.balancer.plane.board cimport TopKey
from wsgistack.balancer.plane.core cimport Client, Core
from wsgistack.balancer.plane.exchange cimport Exchange
from wsgistack.balancer.plane.gates cimport AskerKey, GateLimit
from wsgistack.balancer.plane.wire cimport Head

cdef enum:
    COLUMN_REFUSED = 5           # of ratelimit/rows.COLUMNS
    COLUMN_WOULD_REFUSE = 6


# The limit is about the request: hold its rows. Only while core.meter is not NULL.
cdef void meter_begin(Client* c, const GateLimit* limit, const AskerKey* keys, int n, const Head* h, const char* p) noexcept nogil
# The limit refused it under that key, or would have.
cdef void meter_refused(Core* core, Exchange* ex, const GateLimit* limit, const AskerKey* key, int column) noexcept nogil
# The request is over: count it by its status.
cdef void meter_end(Core* core, Exchange* ex) noexcept nogil
# Count in a folder from now on, with at most so many rows an hour; "": nowhere. SettingError, and nothing changed.
cdef int meter_open(Core* core, str folder, object tell, unsigned int most) except -1
cdef void meter_close(Core* core) noexcept
cdef void count_top(TopKey* top, const AskerKey* key) noexcept nogil
