"""A virtual network and clock: sockets that split, delay, fill up, end and reset by a seed.

`Network` has the methods that `wsgistack.balancer.plane.simulated` calls; everything else in
the simulation (clients, nodes) uses `Peer`, the other end of the same sockets.
"""

from __future__ import annotations

import errno
import heapq
import itertools
import random
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

IN, OUT, ERR, HUP, RDHUP = 0x001, 0x004, 0x008, 0x010, 0x2000
SEND_BUFFER = 4096
LONG, SHORT = 700, 10  # about a hundredth of the bytes in the longest body


@dataclass(eq=False)
class End:
    """One end of a connection: what has arrived and what may still be sent."""

    fd: int
    other: End | None = None
    arrived: bytearray = field(default_factory=bytearray)
    in_flight: int = 0  # bytes sent by this end that the other has not read
    fin_arrived: bool = False
    fin_sent: bool = False
    reset: bool = False
    closed: bool = False
    blocked: bool = False  # a send met a full buffer: an OUT edge is owed
    error: int = 0
    connected: bool = True
    handle: int | None = None  # the plane's, once it watches
    owner: int = 0  # which plane that is
    on_change: Callable[[], None] | None = None  # a peer's


class Network:
    """All sockets of one simulation, its clock and its random numbers."""

    def __init__(self, seed: int, *, largest: int = LONG) -> None:
        self.rng = random.Random(seed)
        self.now = 1000.0
        self.largest = largest
        self.ends: dict[int, End] = {}
        self.listeners: dict[int, list[End]] = {}
        self.nodes: dict[bytes, Callable[[End], bool]] = {}
        self.edges: dict[int, int] = {}
        self.queue: list[tuple[float, int, Callable[[], None]]] = []
        self.woken_up: dict[int, int] = {}
        self.running = 0  # the plane that makes calls now, when there are several
        self._numbers = itertools.count(10)
        self._order = itertools.count()

    # -- time ------------------------------------------------------------------------------

    def later(self, delay_s: float, action: Callable[[], None]) -> None:
        """Do *action* after *delay_s* virtual seconds."""
        heapq.heappush(self.queue, (self.now + delay_s, next(self._order), action))

    def travel(self) -> float:
        """Return the seconds that a segment takes."""
        return self.rng.choice([0.0001, 0.0002, 0.001, 0.01])

    def advance(self, until: float) -> None:
        """Run what is due up to *until* and set the clock there."""
        while self.queue and self.queue[0][0] <= until:
            self.now, _, action = heapq.heappop(self.queue)
            action()
            if self.edges:
                return
        self.now = until

    # -- making connections ----------------------------------------------------------------

    def pair(self) -> tuple[End, End]:
        a, b = End(next(self._numbers)), End(next(self._numbers))
        a.other, b.other = b, a
        self.ends[a.fd], self.ends[b.fd] = a, b
        return a, b

    def listen(self) -> int:
        fd = next(self._numbers)
        self.listeners[fd] = []
        return fd

    def dial(self, listener: int) -> End:
        """Connect a client to the plane's listening socket; return the client's end."""
        mine, theirs = self.pair()
        self.listeners[listener].append(theirs)
        self.edge(listener, IN)
        return mine

    # -- what happens on a connection ------------------------------------------------------

    def edge(self, fd: int, bits: int) -> None:
        end = self.ends.get(fd)
        if end is not None and end.on_change is not None:
            end.on_change()
        if fd in self.listeners or (end is not None and end.handle is not None and not end.closed):
            self.edges[fd] = self.edges.get(fd, 0) | bits

    def transmit(self, end: End, data: bytes) -> None:
        """Send *data* in randomly cut segments that keep their order."""
        other = end.other
        assert other is not None
        end.in_flight += len(data)
        self._send_in_order(end, lambda: self._arrive(other, data))

    def _send_in_order(self, end: End, action: Callable[[], None]) -> None:
        at = max(self.now + self.travel(), getattr(end, "last_at", 0.0))
        end.last_at = at  # type: ignore[attr-defined]  # segments do not overtake each other
        heapq.heappush(self.queue, (at, next(self._order), action))

    def _arrive(self, end: End, data: bytes) -> None:
        if end.closed:
            if end.other is not None and not end.other.closed:
                self._reset(end.other)
            return
        end.arrived += data
        self.edge(end.fd, IN)

    def _reset(self, end: End) -> None:
        end.reset = True
        end.error = errno.ECONNRESET
        self.edge(end.fd, IN | OUT | ERR | HUP | RDHUP)

    def take(self, end: End, n: int) -> bytes | int:
        if end.reset:
            return -errno.ECONNRESET
        if not end.arrived:
            return b"" if end.fin_arrived else -errno.EAGAIN
        cut = min(n, len(end.arrived))
        data = bytes(end.arrived[:cut])
        del end.arrived[:cut]
        other = end.other
        assert other is not None
        other.in_flight -= cut
        if other.blocked and not other.closed:
            other.blocked = False
            self.edge(other.fd, OUT)
        return data

    def put(self, end: End, data: bytes) -> int:
        if end.reset or end.closed:
            return -errno.EPIPE
        room = SEND_BUFFER - end.in_flight
        if room <= 0:
            end.blocked = True
            return -errno.EAGAIN
        n = min(room, len(data))
        end.blocked = n < len(data)
        self.transmit(end, data[:n])
        return n

    def end_sending(self, end: End) -> None:
        if end.fin_sent or end.closed:
            return
        end.fin_sent = True
        other = end.other
        assert other is not None

        def arrive() -> None:
            other.fin_arrived = True
            bits = IN | RDHUP | (HUP if other.fin_sent else 0)
            self.edge(other.fd, bits)

        self._send_in_order(end, arrive)

    def shut(self, end: End, *, reset: bool = False) -> None:
        """Close an end; unread bytes or *reset* make it a reset for the other one."""
        if end.closed:
            return
        other = end.other
        assert other is not None
        if reset or end.arrived:
            self._send_in_order(end, lambda: None if other.closed else self._reset(other))
        else:
            self.end_sending(end)
        end.closed = True

    # -- the calls of the plane ------------------------------------------------------------

    def recv(self, fd: int, n: int) -> bytes | int:
        return self.take(self.ends[fd], n)

    def peek(self, fd: int) -> int:
        end = self.ends[fd]
        if end.reset:
            return -errno.ECONNRESET
        if end.arrived:
            return 1
        return 0 if end.fin_arrived else -errno.EAGAIN

    def send(self, fd: int, data: bytes) -> int:
        end = self.ends[fd]
        if not end.connected:
            return -errno.EAGAIN
        return self.put(end, data)

    def accept(self, fd: int) -> tuple[int, bytes] | int:
        if not self.listeners.get(fd):
            return -errno.EAGAIN
        end = self.listeners[fd].pop(0)
        return end.fd, struct.pack("=H", socket.AF_INET) + struct.pack(
            "!H", 40000
        ) + b"\xc0\x00\x02\x09" + b"\0" * 8

    def connect(self, sockaddr: bytes) -> tuple[int, int] | int:
        mine, theirs = self.pair()
        mine.connected = False
        answer = self.nodes.get(sockaddr)
        self.later(self.travel(), lambda: self._connected(mine, theirs, answer))
        return mine.fd, errno.EINPROGRESS

    def _connected(self, mine: End, theirs: End, answer: Callable[[End], bool] | None) -> None:
        if mine.closed:
            return
        if answer is None or not answer(theirs):
            mine.error = errno.ECONNREFUSED
            mine.reset = True
            self.edge(mine.fd, OUT | ERR | HUP)
            return
        mine.connected = True
        self.edge(mine.fd, OUT)

    def error(self, fd: int) -> int:
        end = self.ends[fd]
        code, end.error = end.error, 0
        return code

    def watch(self, fd: int, handle: int, edge: bool) -> None:
        if fd in self.listeners:
            self.ends[fd] = End(fd, handle=handle, owner=self.running)
            if self.listeners[fd]:
                self.edge(fd, IN)
            return
        end = self.ends[fd]
        end.handle, end.owner = handle, self.running
        bits = OUT if end.connected else 0
        if end.arrived:
            bits |= IN
        if end.fin_arrived:
            bits |= IN | RDHUP
        if end.reset:
            bits |= ERR | HUP
        if bits:
            self.edge(fd, bits)

    def close(self, fd: int) -> None:
        if fd in self.listeners:
            del self.listeners[fd]
            return
        self.shut(self.ends[fd])

    def abort(self, fd: int) -> None:
        self.shut(self.ends[fd], reset=True)

    def finish(self, fd: int) -> None:
        self.end_sending(self.ends[fd])

    def clock(self) -> tuple[float, float]:
        return self.now, self.now + 1.7e9

    def eventfd(self) -> int:
        """Return a descriptor that a plane watches and another one wakes."""
        end = End(next(self._numbers))
        self.ends[end.fd] = end
        self.woken_up[end.fd] = 0
        return end.fd

    def wake(self, fd: int) -> int:
        self.woken_up[fd] += 1
        self.later(self.rng.choice([0.0, 0.0001, 0.001]), lambda: self.edge(fd, IN))
        return 0

    def woken(self, fd: int) -> int:
        count, self.woken_up[fd] = self.woken_up[fd], 0
        return count

    # -- driving the plane -----------------------------------------------------------------

    def crash(self, owner: int) -> None:
        """Close every connection of a plane, as the system does for a process that died."""
        for end in list(self.ends.values()):
            if end.handle is not None and end.owner == owner and end.other is not None:
                self.shut(end)
        for fd in [fd for fd in self.edges if self.ends[fd].owner == owner]:
            del self.edges[fd]

    def take_edges(self, owner: int = 0) -> list[tuple[int, int]]:
        """Return a batch of events for Plane.deliver, in a random order, and forget them."""
        batch = []
        for fd, bits in list(self.edges.items()):
            end = self.ends.get(fd)
            if end is not None and end.handle is not None and end.owner != owner:
                continue
            del self.edges[fd]
            if end is not None and end.handle is not None and not end.closed:
                # epoll reports all that holds, not only what changed.
                bits |= OUT if end.connected and not end.blocked and fd not in self.listeners else 0
                batch.append((end.handle, bits))
            if len(batch) == 256:
                break
        self.rng.shuffle(batch)
        return batch
