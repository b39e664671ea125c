# What other compiled modules may write.

cdef bytes write_lines(list items, long long ttl, long long opaque, bint is_quiet)
