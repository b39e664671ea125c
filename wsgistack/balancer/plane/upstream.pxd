# Connections to nodes: opening, verifying, keeping, closing. Knows no client but as a handle.

from libc.stdint cimport uint32_t

from wsgistack.balancer.plane.core cimport Client, Conn, Core, Node, Service
from wsgistack.balancer.plane.exchange cimport Exchange

cdef enum Acquired:
    ACQUIRED_NOW = 0             # ex.conn is ready to be written to
    ACQUIRED_LATER               # core.conn_ready or core.conn_failed will be called
    ACQUIRED_NONE                # no node may be tried (any more)
    ACQUIRED_FULL                # those that could be have as many requests as they may
    ACQUIRED_FAILED              # the one that was picked could not be reached: ex.last_why; it is noted as tried

cdef enum Hold:                  # for how long no worker picks a node after a hard failure, in ms
    HOLD_NONE = 0
    HOLD_MS = 1000               # it refused or reset: Perlbal's second, longer than health takes to look at it
    SILENT_MS = 3000             # it said nothing at all: the next request would wait as long for nothing

# Find a node for the client's exchange and a connection to it.
cdef int up_acquire(Core* core, Client* client, Exchange* ex) noexcept nogil
# Is there a node that could be asked and was not, the present one apart?
cdef int up_has_other(Service* service, Exchange* ex) noexcept nogil
# The exchange is done with its connection: keep it for the next one, or close it.
cdef void up_release(Conn* conn, Exchange* ex, int keep) noexcept nogil
# Read once into conn.inp. Return the bytes, 0 at the end, or -errno; conn.ep.readable is updated.
cdef ssize_t conn_read(Conn* conn, uint32_t want) noexcept nogil
# Close a connection at once, whatever its state.
cdef void up_close(Conn* conn) noexcept nogil
# An event of epoll.
cdef void up_event(Conn* conn, unsigned int events) noexcept nogil
# The connection's timer fired.
cdef void up_timer(Conn* conn) noexcept nogil
# Note a failure in the scoreboard and the log, and hold the node.
cdef void up_failed(Core* core, Node* node, Service* service, int phase, int why, int error, int hold_ms) noexcept nogil
cdef void up_close_idle(Node* node) noexcept nogil
# See to it that the timer of a busy connection is not later than what its state allows.
cdef void up_arm(Conn* conn) noexcept nogil
