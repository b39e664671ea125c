# What the modules of the plane share: the structures and the state of one worker's plane.

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from wsgistack.balancer.plane.board cimport LANES, MAX_WORKERS, SERVICE_SLOTS, BoardView, ServiceCount
from wsgistack.balancer.plane.buf cimport Buf
from wsgistack.balancer.plane.exchange cimport Exchange
from wsgistack.balancer.plane.gates cimport Gate
from wsgistack.balancer.plane.kernels cimport Columns, Ring
from wsgistack.balancer.plane.limit_table cimport TableView
from wsgistack.balancer.plane.net cimport ADDRESS_BYTES, Net
from wsgistack.balancer.plane.networks cimport Cidr
from wsgistack.balancer.plane.page_rules cimport PageRules
from wsgistack.balancer.plane.ready_table cimport ReadyView
from wsgistack.balancer.plane.timers cimport Timer, Wheel
from wsgistack.balancer.plane.wire cimport Head
from wsgistack.blake2b cimport Blake2b

cdef enum Kind:
    KIND_LISTENER = 1
    KIND_CLIENT
    KIND_CONN
    KIND_WAKE                    # the eventfd by which other workers wake this one

cdef enum:
    NAME_BYTES = 64
    TEXT_SIZE = 256              # a setting of kind TEXT has at most 255 bytes
    TEXT_BYTES = 112             # an address as text: unix:/path is at most 5 + 108
    EVENTS = 256                 # log events kept between two polls; more are counted
    MAX_CIDRS = 64
    TOKEN_BYTES = 16             # of a sticky cookie, see balancer/sticky.py
    LINE_BYTES = 512
    LOG_BYTES = 131072           # of the access log, until the next tick
    MAX_DELAYS = 24              # of error_retry_schedule, see balancer/retry.py
    MOST_SHARES = 8              # of a split, see balancer/split.py


cdef struct Endpoint:            # first member of everything that epoll knows
    uint8_t kind
    uint8_t dead                 # closed; its memory goes when the batch of events is done
    uint8_t readable             # edges seen and not used up
    uint8_t writable
    uint8_t rdhup                # the peer will send no more
    int fd
    Core* core
    Endpoint* next_dead


cdef struct Node:
    char address[TEXT_BYTES]     # as the operator wrote it
    char sockaddr[ADDRESS_BYTES]
    uint32_t sockaddr_size
    uint32_t slot
    uint32_t id                  # a hash of the address, never 0: what other workers know it by
    uint32_t refs                # pools, connections, exchanges
    uint8_t removed              # in no pool any more: idle connections are closed
    uint8_t connectable          # the address is known
    uint8_t capped               # in one of its pools
    uint8_t is_keeper            # it keeps the page cache: no node of a pool
    Conn* idle                   # most recently used first
    uint32_t n_idle
    Conn* all


cdef struct Member:              # a node within a pool
    Node* node
    uint32_t weight
    uint32_t cap                 # requests in flight over all workers and pools; 0: any number
    uint8_t up                   # says health
    uint8_t usable               # and its address is known
    uint8_t backup
    uint8_t draining
    uint64_t warm_from_ms        # monotonic; 0: it is not warming up


cdef struct Pool:
    char name[NAME_BYTES]
    uint32_t n
    Member* members
    uint64_t state               # of the algorithm
    int kernel                   # see kernels.pxd; -1: Python
    void* algorithm              # borrowed: the Python module's pick function
    uint8_t admits               # per cent of the requests: less than 100 while its breaker is not closed
    uint8_t bad[125]             # a bit per status of three digits: set, it counts against the node
    uint8_t capped               # a member has a cap
    uint8_t keyed                # the algorithm wants the ring and the key of a request
    uint8_t key_kind             # see keys.pxd
    char key_name[NAME_BYTES]    # of the field (lower case) or the cookie
    uint32_t key_name_len
    Ring ring
    uint32_t most_percent        # see Candidates
    uint32_t slow_start_ms
    uint64_t warm_until_ms       # when the last slow start is over
    Columns ready                # the candidates of a normal request, see pick.pyx


cdef struct Share:               # a bucket of a split, see split.pyx
    Pool* pool
    char* tokens                 # TOKEN_BYTES for each member of the pool
    uint64_t begin, end          # in 32-bit fractions
    uint32_t number              # balancer/split.bucket_number
    uint32_t cell                # its counter


cdef struct Split:
    uint8_t by                   # SplitBy
    uint8_t cookie_len
    uint8_t name_len
    char cookie[NAME_BYTES]      # of our own
    char name[NAME_BYTES]        # of the field (lower case) or the cookie that names a visitor
    uint32_t max_age_s
    Blake2b draw                 # where a visitor stands
    Blake2b mark                 # what signs his cookie
    uint32_t n
    Share shares[MOST_SHARES]


cdef struct Lane:                # waiting requests of one class in the order of their age
    Exchange* head
    Exchange* tail
    uint32_t n


cdef struct Mark:                # a cookie, and what its value contains, that mark a request's class
    char name[TEXT_SIZE]
    char contents[TEXT_SIZE]
    uint32_t name_len            # 0: none
    uint32_t contents_len        # 0: whatever it is


cdef struct Service:
    char name[NAME_BYTES]
    uint32_t slot
    uint32_t refs                # clients, listeners, the plane
    uint8_t closing              # disabled or gone: connections are not kept
    Pool* pool
    # settings; times in milliseconds, 0: none
    uint8_t persist_client, persist_backend, verify_backend, server_tokens, always_trusted, blind_proxy
    uint32_t backend_persist_cache, max_backend_uses, buffer_size, buffer_backend_connect
    uint64_t max_chunked, max_body
    uint32_t client_header_ms, client_body_ms, client_write_ms, client_idle_ms, client_body_min_rate
    uint32_t connect_ms, verify_ms, first_byte_ms, node_idle_ms, node_keepalive_ms, request_ms, tunnel_ms
    uint32_t max_header_bytes, max_headers, max_uri, sndbuf, retry_after
    uint32_t retry_on            # bits of retry.RetryOn
    uint32_t retry_limit, retry_budget
    uint8_t retry_keyed          # an Idempotency-Key makes a request one that may be repeated
    uint8_t retries_status       # retry_status holds any
    uint8_t retry_status[25]     # one bit for each status from 400 to 599
    uint8_t request_id           # request_id.RequestId
    uint8_t sticky               # sticky.Sticky
    uint32_t number              # by its name: what is learned of its sessions is known after an upgrade
    uint8_t sticky_name_len
    char sticky_name[NAME_BYTES]
    uint32_t sticky_ttl_s
    char* tokens                 # TOKEN_BYTES for each member of the pool
    uint32_t n_delays            # 0: enable_error_retries is off
    uint32_t delays_ms[MAX_DELAYS]
    uint32_t queue_size, queue_ms, relief_size, relief_chance
    uint8_t marked               # one of the next two is set
    Mark high
    Mark low
    Lane lanes[LANES]
    char verify_path[256]
    char* insert
    uint32_t insert_len
    char* remove
    uint32_t remove_len
    char authority[TEXT_BYTES]   # for requests without one
    uint32_t authority_len
    uint8_t asker_field          # FieldId of what trusted proxies say who asks by
    uint32_t n_trusted
    Cidr trusted[MAX_CIDRS]
    Gate* gate                   # NULL: nothing limits it
    PageRules* pages             # NULL: it has no page cache
    Pool* keeper                 # of that cache
    Split* split                 # NULL: all go to its pool


cdef struct Listener:
    Endpoint ep
    Service* service
    Listener* next
    uint8_t inner                # the keeper asks here for what it does not have
    char address[TEXT_BYTES]


cdef struct Relay:               # a pipe between two sockets
    int source                   # its end to read from
    int sink                     # its end to write to
    uint32_t filled              # bytes inside
    Relay* next


cdef enum ClientState:
    CLIENT_HEAD = 0              # waiting for, or reading, a request head
    CLIENT_BUSY                  # an exchange is under way
    CLIENT_LINGER                # all is said: read and drop until the peer closes


cdef struct Client:
    Endpoint ep
    Service* service
    Client* next
    Client* prev
    Client* next_again           # has work that waits for no event
    Exchange* ex
    Timer timer
    Buf inp
    uint8_t state
    uint8_t again
    uint8_t trusted
    uint8_t inner                # it is the keeper: see Listener
    uint8_t is_v6
    uint8_t https
    uint8_t peer_len
    uint8_t eof                  # the client sent its FIN and all before it was read
    uint8_t node_eof             # tunnel: the same of the node
    uint8_t cut                  # the response can not be completed: close, visibly
    uint16_t port
    uint32_t scan                # see Head.scan
    char peer[46]
    uint8_t peer_known           # 1: as peer_address, 2: it has none; 0: not looked at yet
    uint8_t peer_address[16]     # IPv4 as ::ffff:a.b.c.d
    uint32_t requests
    uint64_t born_ms
    uint64_t since_ms            # beginning of the head, the idle time or the lingering
    uint64_t last_in_ms          # progress in reading a body
    uint64_t last_out_ms         # progress in writing
    uint64_t mark_ms             # start and bytes of the window of client_body_min_rate
    uint64_t mark_bytes
    Relay* relay_up              # while a request body moves by splice
    Relay* relay_down            # while a response body does


cdef enum ConnState:
    CONN_CONNECTING = 0
    CONN_VERIFYING
    CONN_IDLE
    CONN_BUSY


cdef struct Conn:                # a connection to a node
    Endpoint ep
    Node* node
    Service* service             # for whom it was opened or last used
    Client* client               # whose exchange it serves
    Exchange* verify             # the OPTIONS under way
    Conn* next                   # of node.all
    Conn* prev
    Conn* idle_next              # of node.idle
    Conn* idle_prev
    Timer timer
    Buf inp
    uint8_t state
    uint8_t reused
    uint32_t uses
    uint64_t born_ms
    uint64_t since_ms            # begin of the state
    uint64_t last_ms             # progress in either direction


cdef struct EventRecord:
    uint8_t kind                 # 1 refused or cut, 2 node failed, 3 not sent again, 4 of Throttle
    uint8_t phase
    uint16_t status
    int error
    const char* why
    char service[NAME_BYTES]
    char peer[46]
    uint16_t port
    char node[TEXT_BYTES]


cdef enum LogFormat:
    LOG_OFF = 0
    LOG_COMBINED
    LOG_JSON


cdef struct AccessLog:           # see access_log.pyx
    int fd                       # -1: none
    uint8_t format               # LogFormat of requests that begin now
    uint8_t is_file              # not a pipe, a socket or a terminal
    uint8_t is_socket
    uint8_t clock_format
    int error                    # of the last write that lost lines
    uint32_t lost                # lines since this was last told
    uint64_t told_ms
    uint32_t used
    char* p                      # whole lines
    uint64_t second              # that `clock` shows
    char clock[40]


cdef struct Core:
    int epfd
    uint64_t now_us
    uint64_t now_ms
    uint64_t epoch_ms
    uint64_t epoch_s
    uint64_t rng
    const Net* net
    BoardView board
    const TableView* limits
    const ReadyView* ready       # NULL: none
    ServiceCount inner_counts    # of the keeper's requests, which are counted where they came from
    Wheel wheel
    Head head
    Endpoint* dead
    Client* clients
    Client* again
    Listener* listeners
    uint32_t n_clients
    uint32_t max_clients
    uint8_t draining
    char line[LINE_BYTES]        # of the response head at hand
    AccessLog log
    void* meter                  # meter.Meter; NULL: nobody is metered
    uint32_t n_events
    uint32_t lost_events
    EventRecord events[EVENTS]
    # upstream calls its user through these
    void (*conn_ready)(Conn* conn) noexcept nogil
    void (*conn_failed)(Client* client, int phase, int why, int error) noexcept nogil
    void (*conn_event)(Conn* conn) noexcept nogil
    # what queues.pyx needs, and calls its user through
    Service* services[SERVICE_SLOTS]     # by slot
    Endpoint wake                # fd -1: none
    int wakes[MAX_WORKERS]       # those of all workers, -1: not known
    uint8_t freed                # a place was given back, or somebody began to wait: look who is next
    uint8_t granted              # another worker left us the next place
    uint32_t left                # requests that have left a queue, for whatever reason
    void (*client_step)(Client* client) noexcept nogil


cdef enum Phase:
    PHASE_CONNECT = 0
    PHASE_VERIFY
    PHASE_SEND
    PHASE_RESPONSE
    PHASE_TIMEOUT


cdef inline ServiceCount* service_counts(const Client* c) noexcept nogil:
    return &c.ep.core.board.mine.services[c.service.slot]


cdef inline ServiceCount* client_counts(const Client* c) noexcept nogil:
    # What is counted once for a request, though the keeper may send it on.
    return &c.ep.core.inner_counts if c.inner else service_counts(c)


cdef void core_refresh(Core* core) noexcept nogil                 # read the clocks
cdef uint64_t core_random(Core* core) noexcept nogil
cdef void endpoint_bury(Endpoint* ep) noexcept nogil              # free when the batch is done
cdef void core_bury_dead(Core* core) noexcept nogil
cdef EventRecord* core_event(Core* core) noexcept nogil           # NULL: the ring is full
cdef void service_unref(Service* service) noexcept nogil
cdef void node_unref(Node* node) noexcept nogil
cdef void service_free_text(Service* service) noexcept nogil
