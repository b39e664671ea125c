"""Why a request was answered by us, or cut: the fixed words of answers and logs."""

# The fixed words of the log, in the order of the enum Reason.
cdef const char* REASONS[WHY_COUNT]
REASONS[:] = [
    b"none", b"wire", b"body_too_large", b"client_header_timeout", b"client_body_timeout", b"client_body_too_slow",
    b"client_write_timeout", b"request_timeout", b"tunnel_timeout", b"no_pool", b"no_node", b"connect_failed",
    b"connect_timeout", b"node_closed", b"node_timeout", b"bad_response", b"response_truncated",
    b"unexpected_upgrade", b"too_many_interim", b"no_memory", b"client_gone", b"request_truncated",
    b"too_many_connections", b"node_status", b"queue_full", b"queue_timeout", b"pool_open",
    b"rate_limited", b"banned", b"denied",
]


cdef const char* reason_name(int why) noexcept nogil:
    return REASONS[why if 0 <= why < WHY_COUNT else 0]
