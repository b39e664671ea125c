# Limits that keep each unit apart: the stamps of `exact`, the places of `concurrent`.

from libc.stdint cimport int64_t, uint32_t, uint64_t

from wsgistack.balancer.plane.limit_kernels cimport LimitRate, LimitState
from wsgistack.balancer.plane.limit_table cimport Place, TableView


cdef struct Lease:               # what a request holds until it ends
    Place* place                 # NULL: nothing
    int64_t units


# With the lock of the key held. Return 0 when a request may pass, else how many us it has to wait;
# *seen* tells what is left, as limit_quota reads it, and *at* where its stamps will stand.
cdef int64_t units_decide(const TableView* t, uint64_t key, uint64_t rate, const LimitRate* r, int64_t now,
                          LimitState* seen, int64_t* at) noexcept nogil
# Take what was decided, for a request of the worker at *seat*; 0 if there is no room to keep it.
cdef int units_take(const TableView* t, uint64_t key, uint64_t rate, const LimitRate* r, int64_t now, uint32_t seat,
                    LimitState* seen, int64_t at, Lease* lease) noexcept nogil
# Count a request whatever the limit says; one that does not run holds no place.
cdef void units_charge(const TableView* t, uint64_t key, uint64_t rate, const LimitRate* r, int64_t now) noexcept nogil
# The request is over. Only the worker that took it may say so.
cdef void units_release(Lease* lease) noexcept nogil
