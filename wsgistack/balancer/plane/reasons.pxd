# Why a request was answered by us, or cut.

cdef enum Reason:                # their fixed words are in reasons.pyx
    WHY_NONE = 0
    WHY_WIRE                     # a fault of the wire module, see ex.fault
    WHY_BODY_TOO_LARGE
    WHY_HEADER_TIMEOUT
    WHY_BODY_TIMEOUT
    WHY_BODY_TOO_SLOW
    WHY_WRITE_TIMEOUT
    WHY_REQUEST_TIMEOUT
    WHY_TUNNEL_TIMEOUT
    WHY_NO_POOL
    WHY_NO_NODE
    WHY_CONNECT_FAILED
    WHY_CONNECT_TIMEOUT
    WHY_NODE_CLOSED
    WHY_NODE_TIMEOUT
    WHY_BAD_RESPONSE
    WHY_RESPONSE_TRUNCATED
    WHY_UNEXPECTED_UPGRADE
    WHY_TOO_MANY_INTERIM
    WHY_NO_MEMORY
    WHY_CLIENT_GONE
    WHY_REQUEST_TRUNCATED
    WHY_TOO_MANY_CONNECTIONS
    WHY_STATUS                   # the node's answer was not passed on: it was to be asked for again
    WHY_QUEUE_FULL               # every node has its max_connections, and enough requests wait
    WHY_QUEUE_TIMEOUT            # none had room within queue_timeout
    WHY_POOL_OPEN                # its breaker lets few requests through, or none
    WHY_RATE_LIMITED             # a limit of the service has no room for it
    WHY_BANNED                   # it is shut out: it was refused too often, or somebody said so
    WHY_DENIED                   # its client is on the service's deny_file
    WHY_COUNT

cdef const char* reason_name(int why) noexcept nogil
