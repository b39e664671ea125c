# The values of the wire: a parsed head, how one is to be written, the place within a chunked body.

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t


cdef enum:
    MAX_FIELDS = 1024            # hard bound of Head.fields; the setting max_headers is lower
    HEAD_RESERVE = 2048          # room that a head writer may need beyond the head's own size


# Fields that the plane must know by name; everything else is F_OTHER and only copied.
cdef enum FieldId:
    F_OTHER = 0
    F_HOST
    F_CONNECTION
    F_KEEP_ALIVE
    F_PROXY_CONNECTION
    F_TE
    F_TRANSFER_ENCODING
    F_CONTENT_LENGTH
    F_TRAILER
    F_UPGRADE
    F_EXPECT
    F_VIA
    F_FORWARDED
    F_X_FORWARDED_FOR
    F_X_FORWARDED_HOST
    F_X_FORWARDED_PROTO
    F_X_FORWARDED_PORT
    F_PROXY
    F_IDENTITY                   # others that say who the client is: see identity.pyx
    F_COOKIE
    F_SET_COOKIE
    F_IDEMPOTENCY_KEY
    F_REFERER
    F_USER_AGENT
    F_TRACEPARENT
    F_X_REQUEST_ID
    F_BUCKET                     # Wsgistack-Bucket: ours alone, see split.pyx
    F_UNDERSCORE                 # any name that holds "_": dropped, WSGI can not tell it from "-"


cdef enum MethodId:
    M_OTHER = 0
    M_GET
    M_HEAD
    M_POST
    M_PUT
    M_DELETE
    M_OPTIONS
    M_TRACE
    M_PATCH
    M_CONNECT


cdef struct Field:
    uint32_t name                # offsets from the start of the head
    uint32_t value               # OWS trimmed on both sides
    uint32_t value_len
    uint16_t name_len
    uint8_t id                   # FieldId
    uint8_t drop                 # 1: hop-by-hop, nominated by Connection, or forbidden


# One parsed head. The caller sets the limits, the parser fills the rest; one Head per
# worker is enough, since nothing of it outlives the call that rewrites it.
cdef struct Head:
    uint32_t max_fields          # <= MAX_FIELDS
    uint32_t max_bytes           # whole head
    uint32_t max_target          # request target
    uint32_t size                # bytes of the head with its empty line (and a leading empty line)
    uint32_t method, method_len
    uint32_t target, target_len  # origin-form part; for absolute-form what follows the authority
    uint32_t target_is_root      # absolute-form with an empty path: the byte to write before the target ("/" or "*")
    uint32_t host, host_len      # effective authority: of absolute-form, else of Host
    uint32_t reason, reason_len
    uint32_t scan                # bytes already searched for the end of the head (linear time when trickled)
    uint32_t seen                # bit 1 << FieldId for each kind of field that came
    uint16_t n_fields
    uint16_t status
    uint8_t minor                # HTTP/1.minor of the sender
    uint8_t method_id
    uint8_t keep_alive           # the sender's wish: 1.1 without close, or 1.0 with keep-alive
    uint8_t chunked
    uint8_t expect_continue
    uint8_t upgrade_websocket    # request: GET 1.1 with Connection: upgrade and Upgrade: websocket; response: Upgrade: websocket
    uint8_t has_drops
    int64_t content_length       # -1: none
    Field fields[MAX_FIELDS]


cdef enum BodyFraming:           # how a body is written
    BODY_NONE = 0                # no body, no framing field (request without body; 204, 1xx, 101)
    BODY_LENGTH                  # Content-Length: length
    BODY_CHUNKED
    BODY_CLOSE                   # response only: ends with the connection
    BODY_AS_TOLD                 # response to HEAD, and 304: framing fields are copied as they came, no body follows


cdef struct RequestRewrite:
    const char* peer             # client address as text: 192.0.2.1, 2001:db8::1, "unknown" for Unix sockets
    uint32_t peer_len
    uint8_t peer_is_v6
    uint8_t trusted              # forwarded fields that came are kept; X-Forwarded-For and Forwarded are appended to
    uint8_t inner                # the keeper sends on what we sent it: forwarded fields and Via are there already
    uint8_t blind                # trusted and blind_proxy: forwarded fields are passed untouched, none added
    uint8_t https                # what X-Forwarded-Proto says
    uint8_t keep_alive           # no "Connection: close" towards the node
    uint8_t websocket            # write Connection: upgrade, Upgrade: websocket
    uint8_t framing              # BodyFraming
    uint64_t length
    const char* insert           # ready lines, each ending in CRLF (HEADER service INSERT)
    uint32_t insert_len
    const char* remove           # names to drop, lower case, each followed by "\n" (HEADER service REMOVE)
    uint32_t remove_len
    const char* cookie           # a cookie to take out, by name
    uint32_t cookie_len          # 0: none
    const char* split_cookie     # and another one
    uint32_t split_cookie_len
    const char* bucket           # for Wsgistack-Bucket
    uint32_t bucket_len          # 0: none
    const char* request_id       # written as X-Request-Id, instead of any that came
    uint32_t request_id_len      # 0: those that came go on
    const char* authority        # what Host says when the request names none: the service's own address
    uint32_t authority_len


cdef struct ResponseRewrite:
    uint8_t client_minor         # 0: no chunked, no interim
    uint8_t keep_alive           # connection to the client stays: 1.1 says nothing, 1.0 says keep-alive; 0 says close
    uint8_t websocket            # 101: Connection: upgrade, Upgrade: websocket
    uint8_t framing
    uint64_t length
    const char* insert           # ready lines, each ending in CRLF
    uint32_t insert_len
    const char* told             # more of them
    uint32_t told_len


cdef struct Chunked:             # the place within a chunked body; all zero at its start
    uint64_t remaining           # data bytes left of the chunk at hand
    uint32_t line                # bytes of the size line read so far (bounded)
    uint32_t extensions          # bytes of chunk extensions so far in the body (bounded, CVE-2023-39326)
    uint8_t state
    uint8_t digits


cdef enum ChunkStep:
    CHUNK_MORE = 0               # all n bytes were used, more are needed
    CHUNK_DATA = 1               # *data points to *data_len body bytes; call again with what follows *used
    CHUNK_TRAILERS = 2           # the last chunk's line is read: parse_trailers from *used on
    CHUNK_FAULT = 3
