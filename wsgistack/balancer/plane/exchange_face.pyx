"""One exchange, driven from Python: for tests."""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memset

from wsgistack.balancer.plane.exchange cimport (
    RES_TUNNEL,
    WHY_NO_NODE,
    WHY_NONE,
    WHY_WIRE,
    Exchange,
    ex_forward,
    ex_let_pass,
    ex_request_input,
    ex_response_eof,
    ex_response_input,
    ex_take,
    exchange_free,
    exchange_new,
)
from wsgistack.balancer.plane.own_answer cimport ex_answer, why_name
from wsgistack.balancer.plane.wire cimport Head, RequestRewrite, parse_request_head


class ExchangeEnded(Exception):
    """The exchange met a fault; its argument is the fixed word of the log."""


cdef class ExchangeFace:
    """One exchange, driven from Python: what a test feeds in and what would be sent.

    `client(data)` takes the request (head first), `node(data)` the response, `node_eof()` its
    end.  `to_node` and `to_client` are all bytes so far.  Not for production: it copies.
    """

    cdef Exchange* ex
    cdef Head head
    cdef bytes client_rest
    cdef bytes node_rest
    cdef bint begun
    cdef uint32_t head_scan
    cdef uint8_t bits[25]
    cdef bytes name

    def __cinit__(self, max_body: int = 0):
        self.ex = exchange_new()
        if self.ex == NULL:
            raise MemoryError
        self.ex.max_body = max_body
        self.client_rest = b""
        self.node_rest = b""

    def __dealloc__(self):
        if self.ex != NULL:
            exchange_free(self.ex)

    cdef check(self):
        if self.ex.why != WHY_NONE:
            raise ExchangeEnded(why_name(self.ex).decode())

    def client(self, data: bytes) -> None:
        """Feed bytes of the request; raises ExchangeEnded at a fault, before and ever after."""
        cdef bytes rest = self.client_rest + data
        cdef RequestRewrite r
        cdef int n, why
        self.check()
        if not self.begun:
            self.head.max_bytes = 32768
            self.head.max_fields = 100
            self.head.max_target = 16384
            self.head.scan = self.head_scan
            n = parse_request_head(rest, len(rest), &self.head)
            self.head_scan = self.head.scan
            if n < 0:
                self.ex.why = WHY_WIRE
                self.ex.fault = -n
                self.check()
            if n == 0:
                self.client_rest = rest
                return
            memset(&r, 0, sizeof(r))
            r.peer = b"192.0.2.1"
            r.peer_len = 9
            r.keep_alive = 1
            r.insert = b""
            r.remove = b""
            r.authority = b"node.example"
            r.authority_len = 12
            self.ex.why = ex_take(self.ex, &self.head) or ex_forward(self.ex, &self.head, rest, &r)
            self.begun = True
            rest = rest[n:]
            self.check()
        self.feed_body(rest)

    cdef feed_body(self, bytes rest):
        cdef size_t used
        while rest and not (self.ex.req_done and self.ex.res_state != RES_TUNNEL):
            used = ex_request_input(self.ex, &self.head, rest, len(rest))
            rest = rest[used:]
            self.check()
            if used == 0:
                break
        self.client_rest = rest

    def node(self, data: bytes) -> None:
        """Feed bytes of the response; raises ExchangeEnded at a fault."""
        cdef bytes rest = self.node_rest + data
        self.check()
        self.node_rest = rest[ex_response_input(self.ex, &self.head, rest, len(rest)):]
        self.check()

    def node_eof(self) -> None:
        """The node closed; raises ExchangeEnded where that cuts the response."""
        ex_response_eof(self.ex)
        self.check()

    def answer(self, status: int) -> None:
        """Let the exchange be answered by us."""
        ex_answer(self.ex, status, WHY_NO_NODE, 1, 1, 1)

    def watch(self, *statuses: int) -> None:
        """Hold a response of one of these statuses (400 to 599) back."""
        memset(self.bits, 0, sizeof(self.bits))
        for status in statuses:
            self.bits[(status - 400) // 8] |= 1 << (status - 400) % 8
        self.ex.watched = self.bits

    def wait_for_body(self, may: bool) -> None:
        """Let a final head wait for the first byte of its body, or no longer."""
        self.ex.may_wait = may

    def only_ours(self, name: bytes) -> None:
        """Let no node set the cookie of that name."""
        self.name = name
        self.ex.only_ours = <const char*>self.name
        self.ex.only_ours_len = len(name)

    def let_pass(self) -> None:
        """Pass on what is held."""
        ex_let_pass(self.ex)
        self.node(b"")

    @property
    def to_node(self) -> bytes:
        return self.ex.up.p[self.ex.up.start:self.ex.up.end] if self.ex.up.p != NULL else b""

    @property
    def to_client(self) -> bytes:
        return self.ex.down.p[self.ex.down.start:self.ex.down.end] if self.ex.down.p != NULL else b""

    @property
    def state(self) -> dict:
        """The flags by name: request_done, response ("head", "body", "done", "tunnel"), keeps, rests."""
        return {
            "request_done": bool(self.ex.req_done),
            "response": ("head", "body", "done", "tunnel")[self.ex.res_state],
            "status": self.ex.status,
            "held": bool(self.ex.held),
            "lone": bool(self.ex.lone),
            "client_keep": bool(self.ex.client_keep),
            "node_keep": bool(self.ex.node_keep),
            "idempotent": bool(self.ex.idempotent),
            "send_continue": bool(self.ex.send_continue),
            "client_rest": self.client_rest,
            "node_rest": self.node_rest,
        }
