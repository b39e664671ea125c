"""A bounded closed loop of clients, and what each of them saw of each request."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Self

import gevent
from gevent import socket

__all__ = ["CLIENTS", "Load", "Seen"]

CLIENTS = 32
POST_EVERY = 4  # each fourth request of a client is a POST
PATIENCE_S = 15.0


@dataclass(frozen=True, slots=True)
class Seen:
    """One request: when it began and ended (monotonic seconds), and what came.

    *status* is 0 when no whole answer came; *why* says then what happened.
    """

    method: str
    ident: str
    began: float
    ended: float
    status: int
    node: str
    why: str = ""

    @property
    def took(self) -> float:
        """Seconds from the request to its answer."""
        return self.ended - self.began

    @property
    def failed(self) -> bool:
        """Tell whether the visitor got something else than a page."""
        return self.status != 200


class Load:
    """Clients that ask as soon as they are answered, on kept connections, until `stop`.

    A client whose connection cannot be made waits a moment; before `closing` is set that is a failure.
    """

    def __init__(self, port: int, *, name: str) -> None:
        self.seen: list[Seen] = []
        self.closing = False
        self._port = port
        self._name = name
        self._over = False
        self._numbers = itertools.count()
        self._clients = [gevent.spawn(self._run) for _ in range(CLIENTS)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Let each client finish its request, and end."""
        self._over = True
        gevent.joinall(self._clients, timeout=PATIENCE_S)
        gevent.killall(self._clients)

    def gets(self, since: float = 0.0, until: float = float("inf")) -> list[Seen]:
        """Return the GETs that began between these times."""
        return [one for one in self.seen if one.method == "GET" and since <= one.began < until]

    def posts(self) -> list[Seen]:
        """Return all POSTs."""
        return [one for one in self.seen if one.method == "POST"]

    def wait_for(self, is_so: Callable[[Seen], bool], *, since: float, within_s: float) -> float | None:
        """Return the end of the first request since *since* of which that is true; None if it does not come."""
        limit = time.monotonic() + within_s
        while time.monotonic() < limit:
            found = next((one.ended for one in self.seen if one.ended >= since and is_so(one)), None)
            if found is not None:
                return found
            gevent.sleep(0.02)
        return None

    def _run(self) -> None:
        connection: socket.socket | None = None
        for turn in itertools.count():
            if self._over:
                break
            if connection is None:
                connection = self._connect()
                if connection is None:
                    gevent.sleep(0.05)
                    continue
            method = "POST" if turn % POST_EVERY == 0 else "GET"
            connection = self._one(connection, method, f"{self._name}-{next(self._numbers)}")
        if connection is not None:
            connection.close()

    def _connect(self) -> socket.socket | None:
        began = time.monotonic()
        try:
            connection = socket.create_connection(("127.0.0.1", self._port), timeout=PATIENCE_S)
        except OSError as error:
            if not self.closing:
                self.seen.append(Seen("CONNECT", "", began, time.monotonic(), 0, "", repr(error)))
            return None
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _one(self, connection: socket.socket, method: str, ident: str) -> socket.socket | None:
        """Make one request; return the connection if it can carry another."""
        body = b"Content-Length: 5\r\n\r\nhello" if method == "POST" else b"\r\n"
        began = time.monotonic()
        status, node, why, keeps, held = 0, "", "", False, b""
        try:
            connection.sendall(f"{method} / HTTP/1.1\r\nHost: a\r\nX-Id: {ident}\r\n".encode() + body)
            held = _read(connection)
            status, node, keeps = _parse(held)
        except (OSError, EOFError) as error:
            why = f"{error!r} after {len(held)} bytes"
        self.seen.append(Seen(method, ident, began, time.monotonic(), status, node, why))
        if keeps:
            return connection
        connection.close()
        return None


def _read(connection: socket.socket) -> bytes:
    held = b""
    while b"\r\n\r\n" not in held:
        held += _more(connection)
    head, _, body = held.partition(b"\r\n\r\n")
    length = next((int(v) for k, v in _fields(head) if k == b"content-length"), 0)
    while len(body) < length:
        more = _more(connection)
        body += more
        held += more
    return held


def _more(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise EOFError("closed")
    return bytes(data)


def _fields(head: bytes) -> Iterable[tuple[bytes, bytes]]:
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        yield key.strip().lower(), value.strip()


def _parse(answer: bytes) -> tuple[int, str, bool]:
    """Return status, node, and whether the connection stays."""
    head = answer.partition(b"\r\n\r\n")[0]
    fields = dict(_fields(head))
    return int(head[9:12]), fields.get(b"x-node", b"").decode(), fields.get(b"connection", b"") != b"close"
