from libc.stdint cimport uint8_t, uint32_t

# True if p[0:n] is uri-host [":" port], not empty, at most MAX_AUTHORITY bytes.
cdef bint is_authority(const uint8_t* p, uint32_t n) noexcept nogil
