# What can be done with one key of a segment: see operations.pyx.

from wsgistack.store.shm.segment cimport Request, Status, View

cdef Status read(View* v, Request* r) noexcept nogil
cdef Status write(View* v, Request* r) noexcept nogil
cdef Status step(View* v, Request* r) noexcept nogil
cdef Status touch(View* v, Request* r) noexcept nogil
cdef Status remove(View* v, Request* r) noexcept nogil
