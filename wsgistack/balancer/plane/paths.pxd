# The path of a request as limits see it, and whether a glob fits it; see paths.pyx.

from libc.stdint cimport uint32_t

# Write the normal path of a request target into `out`, which has room for n + 2 bytes; return its length.
# `resolves`: ".." too.
cdef uint32_t path_of_target(const char* target, uint32_t n, char* out, int resolves=*) noexcept nogil
# 1 if the whole path fits: "*" stands for anything.
cdef int path_fits(const char* glob, uint32_t n, const char* path, uint32_t size) noexcept nogil
# 1 if another reading of the target fits, of those that an application may have; `room` is for size + 2 bytes.
cdef int path_may_fit(const char* glob, uint32_t n, const char* target, uint32_t size, char* room) noexcept nogil
