# The words of HTTP/1.1 on the wire, sans-I/O: what the rest of the plane calls.
# A Python face for tests and fuzzing is in wire.pyx.

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
    uint32_t target, target_len  # origin-form part; for absolute-form what follows the authority ("/" if empty)
    uint32_t target_is_root      # absolute-form with an empty path: write "/" before the target bytes
    uint32_t host, host_len      # effective authority: of absolute-form, else of Host
    uint32_t reason, reason_len
    uint32_t scan                # bytes already searched for the end of the head (linear time when trickled)
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


# Faults: the negative result of a parse. `fault_status` is the status for the client,
# `fault_name` the fixed word for the log.
cdef enum Fault:
    FAULT_NONE = 0
    FAULT_FIRST = 1              # wire.pyx numbers the rest; see FAULTS there
    FAULT_URI_TOO_LONG = 2
    FAULT_HEAD_TOO_LARGE = 3
    FAULT_TOO_MANY_FIELDS = 4
    FAULT_CHUNK = 5
    FAULT_TRAILERS = 6

cdef int fault_status(int fault) noexcept nogil
cdef const char* fault_name(int fault) noexcept nogil

# Return 0 (more bytes are needed), the head's size, or -fault. h.scan must be 0 on the
# first call for a message and be kept between calls as the buffer grows.
cdef int parse_request_head(const char* p, size_t n, Head* h) noexcept nogil
cdef int parse_response_head(const char* p, size_t n, Head* h) noexcept nogil
# A trailer section (fields and an empty line) with the same answers. Forbidden fields get drop = 1.
cdef int parse_trailers(const char* p, size_t n, Head* h) noexcept nogil


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


cdef struct ResponseRewrite:
    uint8_t client_minor         # 0: no chunked, no interim
    uint8_t keep_alive           # connection to the client stays: 1.1 says nothing, 1.0 says keep-alive; 0 says close
    uint8_t websocket            # 101: Connection: upgrade, Upgrade: websocket
    uint8_t framing
    uint64_t length


# Write a head; `out` has room for h.size + insert_len + peer_len * 3 + HEAD_RESERVE bytes. Return the bytes written.
cdef size_t write_request_head(const Head* h, const char* p, const RequestRewrite* r, char* out) noexcept nogil
cdef size_t write_response_head(const Head* h, const char* p, const ResponseRewrite* r, char* out) noexcept nogil
# Fields of a trailer section that are not dropped, and the empty line (the caller wrote "0\r\n").
cdef size_t write_trailers(const Head* h, const char* p, char* out) noexcept nogil
# "1f4\r\n" into out (at most 18 bytes). Return the bytes written.
cdef size_t write_chunk_size(uint64_t size, char* out) noexcept nogil


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

# Take one step over p[0:n]; *used bytes are done with in any case.
cdef int chunk_next(Chunked* c, const char* p, size_t n, size_t* used, const char** data, size_t* data_len) noexcept nogil
