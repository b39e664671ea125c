"""Clients and nodes of the simulation: h11 at both ends, so every byte is judged by an oracle."""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import h11

from tests.simulation.network import End, Network


class Peer:
    """An end driven by h11 that writes as the buffer allows and reads what arrives."""

    def __init__(self, net: Network, end: End, role: type[h11._util.Sentinel]) -> None:
        self.net = net
        self.end = end
        self.h11 = h11.Connection(role)
        self.out = bytearray()
        self.over = False
        end.on_change = self.change

    def say(self, *events: h11.Event) -> None:
        for event in events:
            self.out += self.h11.send(event) or b""
        self.flush()

    def flush(self) -> None:
        while self.out and not self.end.closed:
            n = self.net.put(self.end, bytes(self.out[: self.net.rng.randint(1, 3000)]))
            if n < 0:
                if n == -errno.EPIPE:
                    self.out.clear()
                return
            del self.out[:n]

    def change(self) -> None:
        if self.end.closed:
            return
        self.flush()
        while not self.end.closed:
            got = self.net.take(self.end, self.net.rng.choice([1, 10, 1000, 100000]))
            if isinstance(got, int):
                if got == -errno.ECONNRESET:
                    self.lost()
                return
            try:
                self.h11.receive_data(got)
                self.events()
            except h11.RemoteProtocolError:
                self.lost()
                return
            if not got:
                self.lost()
                return

    def events(self) -> None:
        raise NotImplementedError

    def lost(self) -> None:
        raise NotImplementedError

    def close(self, *, reset: bool = False) -> None:
        self.net.shut(self.end, reset=reset)


@dataclass(eq=False)
class SimNode:
    """A node: alive or dead, with a share of requests that it answers badly."""

    net: Network
    name: str
    trouble: float = 0.0
    alive: bool = True
    status: int = 200
    old: bool = False  # speaks HTTP/1.0
    verified: int = 0
    delay_s: float = 0.0  # on top of what every answer takes
    executed: Counter[str] = field(default_factory=Counter)
    connections: list[NodeSide] = field(default_factory=list)
    thinks_s: tuple[float, ...] = (0.0, 0.001, 0.02)
    most_at_once: int = 0
    says: list[tuple[str, str]] = field(default_factory=list)  # more fields of its answers
    look: Callable[[h11.Request], object] = bool  # at each request
    troubles: tuple[str, ...] = ("reset", "partial", "truncate", "close_idle", "die", "slow")

    def answer(self, end: End) -> bool:
        if not self.alive:
            return False
        self.connections = [one for one in self.connections if not one.end.closed]
        self.connections.append(NodeSide(self, end))
        return True

    def die(self, back_after_s: float) -> None:
        self.alive = False
        for connection in self.connections:
            connection.close(reset=True)
        self.connections.clear()
        self.net.later(back_after_s, self.revive)

    def revive(self) -> None:
        self.alive = True

    def at_once(self) -> int:
        """Return how many requests it works on for somebody who still waits."""
        return sum(connection.is_serving() for connection in self.connections)


class NodeSide(Peer):
    def __init__(self, node: SimNode, end: End) -> None:
        super().__init__(node.net, end, h11.SERVER)
        self.node = node
        self.request: h11.Request | None = None
        self.body = b""
        self.serving = False  # from the whole request to the last byte of the response
        self.replied = False

    def is_serving(self) -> bool:
        other = self.end.other
        assert other is not None
        return self.serving and not self.end.closed and not other.closed

    def events(self) -> None:
        while not self.end.closed:
            event = self.h11.next_event()
            if event in (h11.NEED_DATA, h11.PAUSED):
                return
            if isinstance(event, h11.Request):
                self.request, self.body = event, b""
            elif isinstance(event, h11.Data):
                self.body += event.data
            elif isinstance(event, h11.EndOfMessage):
                self.serve()
            elif isinstance(event, h11.ConnectionClosed):
                return

    def lost(self) -> None:
        self.close()

    def serve(self) -> None:
        assert self.request is not None
        if self.request.method == b"OPTIONS":
            self.verify()
            return
        ident = dict(self.request.headers)[b"x-id"].decode()
        self.node.executed[ident] += 1
        self.node.look(self.request)
        self.serving, self.replied = True, False
        self.node.most_at_once = max(self.node.most_at_once, self.node.at_once())
        rng = self.net.rng
        if rng.random() < self.node.trouble:
            getattr(self, "do_" + rng.choice(self.node.troubles))(ident)
        else:
            delay_s = rng.choice(self.node.thinks_s) + self.node.delay_s
            self.net.later(delay_s, lambda: self.reply(ident))

    def verify(self) -> None:
        """Answer what verify_backend asks before a connection is used."""
        self.node.verified += 1
        self.say(h11.Response(status_code=200, headers=[("content-length", "0")]), h11.EndOfMessage())
        self.h11.start_next_cycle()

    def payload(self, ident: str) -> bytes:
        return (ident.encode() + b"=" + self.body[:64] + b";") * (1 + hash_of(ident) % self.net.largest)

    def reply(self, ident: str, status: int = 0) -> None:
        if self.end.closed or self.h11.our_state is not h11.SEND_RESPONSE:
            return
        body = self.payload(ident)
        kind = hash_of(ident) % 3
        if self.node.old:
            self.reply_old(body, keep=kind == 0)
            return
        headers = [("x-node", self.node.name), *self.node.says]
        if kind == 0:
            headers.append(("content-length", str(len(body))))
        elif kind == 1:
            headers.append(("transfer-encoding", "chunked"))
        else:
            headers.append(("connection", "close"))
        assert self.request is not None
        data = b"" if self.request.method == b"HEAD" else body
        self.say(h11.Response(status_code=status or self.node.status, headers=headers))
        for i in range(0, len(data), 5000):
            self.say(h11.Data(data=data[i : i + 5000]))
        self.replied = True
        self.say(h11.EndOfMessage())
        if self.must_close():
            self.net.later(0.5, self.close)
        else:
            self.h11.start_next_cycle()

    def reply_old(self, body: bytes, *, keep: bool) -> None:
        """Answer in HTTP/1.0: with a length and kept on request, else until the connection's end."""
        assert self.request is not None
        length = str(len(body))
        self.h11.send(h11.Response(status_code=200, headers=[("content-length", length)]))
        self.h11.send(h11.Data(data=b"" if self.request.method == b"HEAD" else body))
        self.h11.send(h11.EndOfMessage())
        self.out += b"HTTP/1.0 200 OK\r\n"
        if keep:
            self.out += f"Content-Length: {length}\r\nConnection: keep-alive\r\n".encode()
        self.out += b"\r\n" + (b"" if self.request.method == b"HEAD" else body)
        if keep:
            self.h11.start_next_cycle()
            Peer.flush(self)
        else:
            Peer.flush(self)
            self.close_once_sent()

    def flush(self) -> None:
        super().flush()
        if not self.out and self.replied:
            self.serving = False
        if not self.out and self.must_close():
            self.close()

    def must_close(self) -> bool:
        return self.h11.our_state is h11.MUST_CLOSE

    def do_reset(self, ident: str) -> None:
        self.close(reset=True)

    def do_partial(self, ident: str) -> None:
        self.out += b"HTTP/1.1 200 OK\r\nContent-Le"
        Peer.flush(self)
        self.net.later(0.01, lambda: self.close(reset=True))

    def do_truncate(self, ident: str) -> None:
        self.out += b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this"
        Peer.flush(self)
        self.net.later(0.01, self.close)

    def do_close_idle(self, ident: str) -> None:
        self.reply(ident)
        self.net.later(self.net.rng.choice([0.0, 0.0005, 0.01]), self.close_once_sent)

    def close_once_sent(self) -> None:
        if self.out and not self.end.closed:
            self.net.later(0.001, self.close_once_sent)
        else:
            self.close()

    def do_die(self, ident: str) -> None:
        self.node.die(self.net.rng.choice([0.5, 3.0]))

    def do_nothing(self, ident: str) -> None:
        pass

    def do_busy(self, ident: str) -> None:
        self.reply(ident, 503)

    def do_error(self, ident: str) -> None:
        self.reply(ident, 500)

    def do_slow(self, ident: str) -> None:
        self.net.later(2.0, lambda: self.reply(ident))


def hash_of(ident: str) -> int:
    """Return a number that depends on *ident* alone (the built-in hash differs by process)."""
    return sum((i + 7) * ord(c) for i, c in enumerate(ident))


@dataclass
class Outcome:
    ident: str
    method: str
    status: int  # 0: the connection ended without a complete response
    whole: bool  # the body is the one that belongs to the request
    began: float
    ended: float
    answered: bool = False  # a final response head came
    node: str = ""  # that answered
    told: bool = False  # a cookie was set


class SimClient(Peer):
    """A client that sends *count* requests one after the other, each as soon as the last is answered."""

    def __init__(
        self, net: Network, dial: Callable[[], End], name: str, count: int, done: Callable[[Outcome], None]
    ) -> None:
        self.dial = dial
        self.name = name
        self.left = count
        self.done = done
        self.sent = 0
        self.cookie = ""
        self.outcome: Outcome | None = None
        super().__init__(net, dial(), h11.CLIENT)
        net.later(0.0, self.next)

    def reconnect(self) -> None:
        if not self.end.closed:
            self.close()
        self.end = self.dial()
        self.end.on_change = self.change
        self.h11 = h11.Connection(h11.CLIENT)
        self.out.clear()

    def next(self) -> None:
        if self.left == 0:
            self.over = True
            self.close()
            return
        if self.end.closed or self.h11.our_state is not h11.IDLE:
            self.reconnect()
        self.left -= 1
        self.sent += 1
        rng = self.net.rng
        method = rng.choice(["GET", "GET", "HEAD", "POST", "PUT"])
        ident = f"{self.name}.{self.sent}"
        self.outcome = Outcome(ident, method, 0, False, self.net.now, 0.0)
        self.got = b""
        self.body = b""
        headers = [("host", "www.example"), ("x-id", ident)]
        if self.cookie:
            headers.append(("cookie", self.cookie))
        if method in ("POST", "PUT"):
            self.body = ident.encode() * min(rng.choice([1, 50, 3000]), 4 * self.net.largest)
            if rng.random() < 0.5:
                headers.append(("content-length", str(len(self.body))))
            else:
                headers.append(("transfer-encoding", "chunked"))
        self.say(h11.Request(method=method, target=f"/{ident}", headers=headers))
        for i in range(0, len(self.body), 7001):
            self.say(h11.Data(data=self.body[i : i + 7001]))
        self.say(h11.EndOfMessage())

    def events(self) -> None:
        while not self.end.closed:
            event = self.h11.next_event()
            if event in (h11.NEED_DATA, h11.PAUSED) or isinstance(event, h11.ConnectionClosed):
                return
            assert self.outcome is not None
            if isinstance(event, h11.Response):
                self.outcome.status = event.status_code
                self.outcome.answered = True
                fields = dict(event.headers)
                self.outcome.node = fields.get(b"x-node", b"").decode()
                if b"set-cookie" in fields:
                    self.outcome.told = True
                    self.cookie = fields[b"set-cookie"].partition(b";")[0].decode()
            elif isinstance(event, h11.Data):
                self.got += event.data
            elif isinstance(event, h11.EndOfMessage):
                self.finish(whole=True)
                if self.h11.our_state is h11.DONE and self.h11.their_state is h11.DONE:
                    self.h11.start_next_cycle()
                else:
                    self.close()
                self.net.later(self.net.rng.choice([0.0, 0.001, 0.05]), self.next)
                return

    def expected(self) -> bytes:
        assert self.outcome is not None
        if self.outcome.method == "HEAD":
            return b""
        ident = self.outcome.ident
        return (ident.encode() + b"=" + self.body[:64] + b";") * (1 + hash_of(ident) % self.net.largest)

    def finish(self, *, whole: bool) -> None:
        assert self.outcome is not None
        self.outcome.whole = whole and (self.outcome.status != 200 or self.got == self.expected())
        if not whole:
            self.outcome.status = 0
        self.outcome.ended = self.net.now
        self.done(self.outcome)
        self.outcome = None

    def lost(self) -> None:
        if self.end.closed:
            return
        self.close()
        if self.outcome is not None:
            self.finish(whole=False)
            self.net.later(0.01, self.next)
