# One proxied request as a sans-I/O state machine: bytes in, bytes and flags out.

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from wsgistack.balancer.plane.buf cimport Buf
from wsgistack.balancer.plane.limit_units cimport Lease
from wsgistack.balancer.plane.reasons cimport (
    WHY_BAD_RESPONSE,
    WHY_BANNED,
    WHY_BODY_TIMEOUT,
    WHY_BODY_TOO_LARGE,
    WHY_BODY_TOO_SLOW,
    WHY_CLIENT_GONE,
    WHY_CONNECT_FAILED,
    WHY_CONNECT_TIMEOUT,
    WHY_COUNT,
    WHY_DENIED,
    WHY_HEADER_TIMEOUT,
    WHY_NODE_CLOSED,
    WHY_NODE_TIMEOUT,
    WHY_NONE,
    WHY_NO_MEMORY,
    WHY_NO_NODE,
    WHY_NO_POOL,
    WHY_POOL_OPEN,
    WHY_QUEUE_FULL,
    WHY_QUEUE_TIMEOUT,
    WHY_RATE_LIMITED,
    WHY_REQUEST_TIMEOUT,
    WHY_REQUEST_TRUNCATED,
    WHY_RESPONSE_TRUNCATED,
    WHY_STATUS,
    WHY_TOO_MANY_CONNECTIONS,
    WHY_TOO_MANY_INTERIM,
    WHY_TUNNEL_TIMEOUT,
    WHY_UNEXPECTED_UPGRADE,
    WHY_WIRE,
    WHY_WRITE_TIMEOUT,
    reason_name,
)
from wsgistack.balancer.plane.wire cimport Chunked, Head, RequestRewrite


cdef enum:
    TRIED = 8                    # nodes that are remembered as tried
    MOST_METERED = 8             # MAX_LIMITS * MAX_KEYS


cdef enum ResponseState:
    RES_HEAD = 0                 # waiting for a final response head
    RES_BODY
    RES_DONE
    RES_TUNNEL                   # after a 101: bytes both ways, untouched


cdef struct Exchange:
    # the request
    uint8_t method_id
    uint8_t client_minor
    uint8_t client_keep          # the client's connection may carry another request afterwards
    uint8_t idempotent           # RFC 9110 9.2.2
    uint8_t websocket            # asked for
    uint8_t req_framing          # BodyFraming towards the node
    uint8_t req_done             # the client sent all of it (and it is in `up` or beyond)
    uint8_t req_trailers
    uint8_t send_continue        # the caller owes the client a 100 before it reads the body
    uint8_t committed            # bytes of the request are gone from `up`: it can not be sent again
    # the response
    uint8_t res_state
    uint8_t res_in               # BodyFraming as the node sends it
    uint8_t res_out              # BodyFraming towards the client
    uint8_t res_trailers
    uint8_t node_keep            # the node's connection may be used again
    uint8_t interim              # 1xx responses relayed so far
    uint8_t started              # the client was (or will be) sent bytes of the node's response
    uint8_t why                  # Reason
    uint8_t own                  # the response is ours, not a node's
    uint8_t sticky               # sticky.Sticky of the service when it began
    uint8_t secure               # the client came by https
    uint8_t held                 # a final head of a watched status waits: pass it on or drop it
    uint8_t may_wait             # a final head may wait for the first byte of its body
    uint8_t lone                 # and does: the request can still go to another node
    uint8_t watch_error          # watch for status 500
    const uint8_t* watched       # or for these: a bit for each status from 400 to 599; NULL: for none
    uint16_t status
    int fault                    # of wire, when why is WHY_WIRE or WHY_BAD_RESPONSE
    uint32_t res_scan
    uint32_t up_sent             # bytes of `up` that the present node connection has taken
    uint64_t req_left
    uint64_t req_body
    uint64_t max_body            # 0: no limit
    uint64_t res_left
    uint64_t res_body
    Chunked req_chunk
    Chunked res_chunk
    Buf up                       # to the node
    Buf down                     # to the client
    # links of the driver
    void* client
    void* conn
    void* node
    void* tried[TRIED]
    uint8_t n_tried
    uint8_t n_tried_ever
    uint8_t tries                # times that the request was (partly) sent
    uint8_t retries              # those that count against retry_limit
    uint8_t errors               # those by error_retry_schedule
    uint8_t refusal              # retry.Refusal of the last try
    uint8_t is_admitted          # past the breaker of its pool
    uint8_t may_forget           # tried nodes may be asked again when no other is left
    uint8_t asked_again          # and were
    uint8_t fresh_only           # a reused connection died under it: only a new one will do
    uint8_t last_why
    uint64_t retry_at_ms         # not sent again before
    Buf log                      # what the access log will say of the request; empty: nothing
    uint32_t log_middle          # where, within that, the outcome is put in
    uint8_t log_format
    uint8_t asked                # connections that were taken or begun for it
    void* log_node               # whose connection was the last
    uint64_t head_ms             # its first byte
    uint64_t taken_us            # the last connection was taken or begun
    uint64_t ready_us            # and stood
    uint64_t first_us            # the head of the answer
    uint64_t lone_until_ms       # then it goes alone
    uint64_t own_body            # bytes of an answer of ours
    void* sticky_node            # whose the request is
    uint64_t sticky_key          # of the application's cookie that said so
    const char* learn            # the cookie to look for in the response; NULL: for none
    uint32_t learn_len
    uint32_t learned_len         # 0: it was not set
    const char* learned          # its value, within the bytes that were fed last
    const char* only_ours        # a cookie that no node sets; NULL: none
    uint32_t only_ours_len
    const char* insert           # ready lines for the final response head
    uint32_t insert_len
    Buf told                     # and those that tell what limits leave, or of a page cache; empty: nothing
    Buf raw                      # of a request to the keeper: what forward.pyx makes another head of
    uint32_t up_head             # bytes of `up` that are the head
    uint8_t way                  # page_rules.Way
    uint8_t inner                # the keeper asks, see Client
    uint8_t strayed              # it goes to the service's pool, for its bucket's has no place
    uint32_t bucket              # its number, 0: none; see split.pyx
    uint8_t insert_if_set        # `insert` goes only with an answer that sets a cookie anyway
    Lease* leases                # places of limits of concurrency that it holds
    uint32_t n_leases
    Lease delayed                # its place among those that Throttle delays; none: it is not
    void* metered[MOST_METERED]  # rows of meter.pyx that count it
    uint8_t n_metered
    uint32_t skip                # bytes behind the head that are passed over: the body of a refused request
    uint8_t queued               # waits in a queue, see queues.pyx
    uint8_t lane                 # queues.pxd
    uint8_t turn                 # it is its turn to look for a place
    uint64_t queued_us           # since
    uint64_t queue_until_ms      # and until then, over all its waits; 0: it never did
    Exchange* queue_next
    Exchange* queue_prev
    uint64_t began_us
    uint32_t key                 # what the request hashes to, if has_key
    uint8_t has_key
    uint64_t asked_us            # the node has the request, or the rest of it is here, since
    uint64_t wait_ms             # when it began to wait for a node connection


cdef Exchange* exchange_new() noexcept nogil
cdef void exchange_free(Exchange* ex) noexcept nogil

# Begin from a parsed request head: what it says of connection and body. Return a Reason.
cdef int ex_take(Exchange* ex, const Head* h) noexcept nogil
# Write the head for the node into `up`. Return a Reason.
cdef int ex_forward(Exchange* ex, const Head* h, const char* p, RequestRewrite* r) noexcept nogil
# Take request body bytes; return how many were used. ex.why is set at a fault.
cdef size_t ex_request_input(Exchange* ex, Head* scratch, const char* p, size_t n) noexcept nogil
# Take response bytes; return how many were used; what is not used once res_state is RES_DONE
# does not belong to this exchange. ex.why is set at a fault.
cdef size_t ex_response_input(Exchange* ex, Head* scratch, const char* p, size_t n) noexcept nogil
# The node closed its side: the end of a close-delimited body, else a fault (ex.why).
cdef void ex_response_eof(Exchange* ex) noexcept nogil
# Forget a failed try, so that the same request can go to another connection.
cdef void ex_rewind(Exchange* ex) noexcept nogil
# Let the response that is held pass; feed its bytes again.
cdef void ex_let_pass(Exchange* ex) noexcept nogil
# Note a node as tried; the one that was tried longest ago makes room.
cdef void ex_tried(Exchange* ex, void* node) noexcept nogil
