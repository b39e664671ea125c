from libc.stdint cimport uint64_t

from wsgistack.balancer.plane.message cimport Chunked

# Take one step over p[0:n]; *used bytes are done with in any case. Return a ChunkStep.
# After CHUNK_FAULT and CHUNK_TRAILERS each further call gives the same answer.
cdef int chunk_next(Chunked* c, const char* p, size_t n, size_t* used, const char** data, size_t* data_len) noexcept nogil
# "1f4\r\n" into out (at most 18 bytes). Return the bytes written.
cdef size_t write_chunk_size(uint64_t size, char* out) noexcept nogil
