from libc.stdint cimport uint8_t, uint32_t

# True if a field of this name says who the client is, or which way it came, and is none of FieldId's own.
cdef bint is_identity(const uint8_t* name, uint32_t n) noexcept nogil
