"""Raw connections for the live tests, and nodes whose every byte a test decides."""

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple, Self

__all__ = ["Link", "Received", "ScriptNode", "answer", "answering", "keep_requests", "read_request"]

TIMEOUT_S = 20.0
RESET = struct.pack("ii", 1, 0)


class Link:
    """One connection, read by what is expected next.  EOFError: it ended before that came."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.socket.settimeout(TIMEOUT_S)
        self._rest = b""

    @classmethod
    def to(cls, address: str, data: bytes = b"", *, receive_buffer: int = 0) -> Self:
        """Connect to HOST:PORT and send *data*; a small *receive_buffer* makes a slow reader."""
        host, _, port = address.rpartition(":")
        sock = socket.socket()
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        link = cls(sock)
        try:
            sock.connect((host, int(port)))
            link.send(data)
        except OSError:
            sock.close()
            raise
        return link

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, data: bytes) -> None:
        """Send all of *data*."""
        self.socket.sendall(data)

    def _more(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise EOFError(f"ended after {self._rest!r}")
        self._rest += data

    def until(self, marker: bytes) -> bytes:
        """Return what comes, up to *marker* and with it."""
        while marker not in self._rest:
            self._more()
        end = self._rest.index(marker) + len(marker)
        found, self._rest = self._rest[:end], self._rest[end:]
        return found

    def take(self, count: int) -> bytes:
        """Return the next *count* bytes."""
        while len(self._rest) < count:
            self._more()
        found, self._rest = self._rest[:count], self._rest[count:]
        return found

    def rest(self) -> bytes:
        """Return all that comes until the end, be it a FIN or a reset."""
        with suppress(EOFError, ConnectionResetError):
            while True:
                self._more()
        found, self._rest = self._rest, b""
        return found

    def response(self) -> tuple[int, bytes, bytes]:
        """Return (status, head, body) of the next response that has a Content-Length."""
        head = self.until(b"\r\n\r\n")
        return int(head.split(b" ")[1]), head, self.take(content_length(head))

    def finish(self) -> None:
        """Send no more: a FIN."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Close with a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.socket.close()

    def close(self) -> None:
        """Close it."""
        self.socket.close()


def content_length(head: bytes) -> int:
    """Return the Content-Length in *head*, 0 without one."""
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


class Received(NamedTuple):
    """A request as a node got it: body with its framing; *whole* if its end came."""

    head: bytes
    body: bytes
    whole: bool

    @property
    def lines(self) -> list[bytes]:
        """The lines of the head, without the empty one."""
        return self.head[:-4].split(b"\r\n")


def read_request(link: Link, began: Callable[[], object] = lambda: None) -> Received:
    """Read the next request, raw, and call *began* once its head is there; EOFError if it never comes."""
    head = link.until(b"\r\n\r\n")
    began()
    body = b""
    try:
        if b"\r\ntransfer-encoding: chunked\r\n" in head.lower():
            while True:
                line = link.until(b"\r\n")
                body += line
                size = int(line, 16)
                if size == 0:
                    break
                body += link.take(size + 2)
            while body[-4:] != b"\r\n\r\n":
                body += link.until(b"\r\n")
        else:
            body = link.take(content_length(head))
    except (EOFError, ConnectionResetError):
        return Received(head, body, False)
    return Received(head, body, True)


def answer(body: bytes = b"ok", *fields: bytes, status: bytes = b"200 OK") -> bytes:
    """Return a response with a length."""
    lines = [b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *fields]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


class ScriptNode:
    """A node that calls *serve(link, node)* in a thread for each connection."""

    def __init__(
        self, serve: "Callable[[Link, ScriptNode], None]", *, port: int = 0, backlog: int = 1024
    ) -> None:
        self.serve = serve
        self.received: list[Received] = []
        self.connections = 0
        self.begun = 0  # requests, of which the head is there
        self.open = 0
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", port), backlog=backlog)
        self.port: int = self._listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        """Stop listening; connections go on."""
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                with self._lock:
                    self.connections += 1
                    self.open += 1
                threading.Thread(target=self._run, args=(Link(sock),), daemon=True).start()

    def _run(self, link: Link) -> None:
        try:
            with link, suppress(OSError, EOFError):
                self.serve(link, self)
        finally:
            with self._lock:
                self.open -= 1

    def begin(self) -> None:
        """Count a request."""
        with self._lock:
            self.begun += 1


def keep_requests(link: Link, node: ScriptNode) -> None:
    """Serve a connection: keep every request in `node.received` and answer it with `ok`."""
    answering(answer())(link, node)


def answering(data: bytes, *, close: bool = False) -> Callable[[Link, ScriptNode], None]:
    """Return a way to serve: keep every request and answer it with *data*, then close if told."""

    def serve(link: Link, node: ScriptNode) -> None:
        while True:
            request = read_request(link, node.begin)
            node.received.append(request)
            if not request.whole:
                return
            link.send(data)
            if close:
                return

    return serve
