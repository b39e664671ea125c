"""Admin ports and their connections: accepted, counted, told apart by their first line.

One greenlet per connection; while it waits for a line it costs nothing.  A reply is written
before the next line is read, so a reader that does not read holds up only itself.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import gevent
from gevent import socket

from wsgistack.balancer.admin.access import Attempts
from wsgistack.balancer.admin.door import Door
from wsgistack.balancer.admin.lines import converse
from wsgistack.balancer.admin.view import View
from wsgistack.balancer.events import Log, find_place
from wsgistack.balancer.language.replies import Error, Reply, Row, encode
from wsgistack.balancer.language.session import LONGEST_LINE, Session
from wsgistack.settings import Value

if TYPE_CHECKING:
    from wsgistack.balancer.admin.web_server import Pages

__all__ = ["AdminPort", "AdminPorts", "Desk"]

MOST_CONNECTIONS = 64
OPENING_LIMIT_S = 10.0  # for the first line, where a token is needed or HTTP is spoken
WRITE_TIMEOUT_S = 30.0
LINGER_S = 1.0
READ_BYTES = 16384
WRITE_BYTES = 65536
ACCEPT_PAUSE_S = 0.1  # after EMFILE and its like
LOAD_AFTER_S = 5.0

# A page that a browser shows may make it send a request anywhere, this port included; its first
# line looks like this whatever else is in it ("HTML form protocol attack", Topf, 2001).  DELETE is a
# command too, and others may say HTTP/1.1 in what they set.
HTTP = re.compile(
    rb"\S+ \S+ HTTP/\d|DELETE (/|\*|https?:)|(GET|HEAD|POST|PUT|OPTIONS|PATCH|TRACE|CONNECT|PRI) \S",
    re.IGNORECASE,
)
# A browser can be made to open TLS here, with bytes of the attacker's choice inside (session
# tickets: "TLS Poison", Maddux, 2020); a handshake's record begins like this.
TLS = b"\x16\x03"
NOT_HTTP = "this is the admin port, it does not speak HTTP"
NOT_TLS = "this is the admin port, it does not speak TLS"
FULL = f"{MOST_CONNECTIONS} admin sessions are open already"


class Desk(View, Protocol):
    """What the ports ask of the supervisor."""

    def settings(self, service: str) -> Mapping[str, Value]:
        """Return the settings of a management service as they are now."""

    def perform(self, line: str, session: Session) -> Reply:
        """Do one command; returns everything but an Ask."""


@dataclass(slots=True)
class _Visit:
    peer: str
    since: float
    is_in: bool = False  # it said something, and showed what the port asks for

    def enter(self) -> None:
        """Note that it is in."""
        self.is_in = True


class AdminPorts:
    """All admin ports, with at most MOST_CONNECTIONS connections.

    Whoever said nothing yet, or has not shown the token that is asked for, makes room for new ones:
    a crowd of strangers keeps no operator out.
    """

    def __init__(self, desk: Desk, log: Log) -> None:
        self._desk = desk
        self._log = log
        self._attempts = Attempts()
        self._pages: Pages | None = None
        self._loading: Any = None
        self._open: dict[Any, _Visit] = {}

    def serve(self, service: str, listening: Any) -> Callable[[], None]:
        """Take over a listening socket of *service*; return what stops it."""
        if self._loading is None:
            self._loading = gevent.spawn_later(LOAD_AFTER_S, self._load)
        return AdminPort(listening, lambda sock, peer: self._begin(service, sock, peer)).close

    def rows(self, now: float) -> list[Row]:
        """Return a row of `socks` for each connection."""
        return [
            {
                "kind": "manage",
                "fd": sock.fileno(),
                "age": now - visit.since,
                "peer": visit.peer,
                "state": "open",
            }
            for sock, visit in self._open.items()
        ]

    def close(self) -> None:
        """End all connections at once."""
        if self._loading is not None:
            self._loading.kill(block=False)
        for sock in list(self._open):
            sock.close()

    def _begin(self, service: str, sock: Any, peer: str) -> None:
        if len(self._open) >= MOST_CONNECTIONS and not self._drop_a_stranger():
            gevent.spawn(_turn_away, sock)
            return
        visit = self._open[sock] = _Visit(peer, time.time())
        gevent.spawn(self._run, service, sock, visit)

    def _drop_a_stranger(self) -> bool:
        for sock, visit in self._open.items():  # the oldest first
            if not visit.is_in:
                del self._open[sock]
                sock.close()
                return True
        return False

    def _run(self, service: str, sock: Any, visit: _Visit) -> None:
        door = Door(
            service,
            visit.peer,
            lambda: self._desk.settings(service),
            self._attempts,
            time.monotonic,
            self._log,
            visit.enter,
        )
        try:
            if sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._welcome(sock, door)
        except OSError:
            pass  # the peer went away, or does not read
        except Exception as error:  # noqa: BLE001 - a mistake of ours ends one connection, and is said
            self._log.error("admin_failed", peer=visit.peer, error=repr(error), at=find_place(error))
        finally:
            self._open.pop(sock, None)
            sock.close()

    def _welcome(self, sock: Any, door: Door) -> None:
        protocol = door.settings()["protocol"]
        limit_s = OPENING_LIMIT_S if protocol == "http" or door.keys().ask else None
        opening = None
        with gevent.Timeout(limit_s, False):
            opening = _read_opening(sock)
        if opening is None:
            return
        if opening.startswith(TLS):
            self._refuse(sock, door, "tls", NOT_TLS)
        elif protocol == "line" and HTTP.match(opening):
            self._refuse(sock, door, "http", NOT_HTTP)
        elif protocol == "http" or HTTP.match(opening):
            pages = self._pages or self._load()
            from wsgistack.balancer.admin.web_server import serve_http

            serve_http(sock, opening, door, pages)
            _linger(sock)
        else:
            for answer in converse(_chunks(sock, opening), door, self._perform, peer=door.peer):
                _write(sock, answer)
            _linger(sock)

    def _load(self) -> Pages:
        """Import what HTTP needs, if that is not done, in a thread: meanwhile the loop goes on."""
        pages: Pages = gevent.get_hub().threadpool.apply(_import_pages)(self._desk, self._perform)
        self._pages = pages
        return pages

    def _refuse(self, sock: Any, door: Door, reason: str, text: str) -> None:
        self._log.often("admin_refused", service=door.service, peer=door.peer, reason=reason)
        _write(sock, encode(Error(text), verbose=True))
        _linger(sock)

    def _perform(self, line: str, session: Session) -> Reply:
        try:
            return self._desk.perform(line, session)
        except Exception as error:  # noqa: BLE001 - see below
            # A mistake of ours must not take the port down; it is said where it can be mended.
            # Of the line its first word alone is logged: a token may follow.
            self._log.error(
                "admin_failed", word="".join(line.split()[:1]), error=repr(error), at=find_place(error)
            )
            return Error("internal error, the log says more")


def _import_pages() -> type[Pages]:
    """Import the half of the admin port that speaks HTTP, and return its pages.

    werkzeug and prometheus_client are a quarter of what a balancer would import before it is ready.  So
    they are imported by whoever asks for a page first, and a moment after the start in any case: what
    comes from the disk much later may be of another version.
    """
    import wsgistack.balancer.exposition  # noqa: F401 - imported is all that it shall be
    from wsgistack.balancer.admin.web_server import Pages

    return Pages


def _read_opening(sock: Any) -> bytes:
    """Return what came until the first line is whole, or longer than a line may be."""
    data = b""
    while b"\n" not in data and len(data) <= LONGEST_LINE + 3:
        more = sock.recv(READ_BYTES)
        if not more:
            break
        data += more
    return data


def _chunks(sock: Any, opening: bytes) -> Iterator[bytes]:
    yield opening
    while data := sock.recv(READ_BYTES):
        yield data


def _turn_away(sock: Any) -> None:
    try:
        _write(sock, encode(Error(FULL), verbose=True))
    except OSError:
        pass
    finally:
        sock.close()


def _write(sock: Any, data: bytes) -> None:
    """Write all of *data*; raise OSError when the peer takes nothing for WRITE_TIMEOUT_S."""
    sock.settimeout(WRITE_TIMEOUT_S)
    for start in range(0, len(data), WRITE_BYTES):
        sock.sendall(data[start : start + WRITE_BYTES])
    sock.settimeout(None)


def _linger(sock: Any) -> None:
    """Read what still comes, for a moment: closing over it would reset what we just wrote."""
    sock.shutdown(socket.SHUT_WR)
    with gevent.Timeout(LINGER_S, False):
        while sock.recv(READ_BYTES):
            pass


class AdminPort:
    """One listening socket; *begin(socket, peer)* takes each connection."""

    def __init__(self, listening: Any, begin: Callable[[Any, str], None]) -> None:
        self._socket = socket.socket(listening.family, socket.SOCK_STREAM, fileno=listening.detach())
        self._begin = begin
        self._acceptor = gevent.spawn(self._accept)

    def close(self) -> None:
        """Stop listening; what was accepted goes on."""
        self._acceptor.kill(block=False)
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                sock, peer = self._socket.accept()
            except OSError:
                if self._socket.closed:
                    return
                gevent.sleep(ACCEPT_PAUSE_S)
                continue
            self._begin(sock, _name(peer))


def _name(peer: object) -> str:
    if not isinstance(peer, tuple):
        return "unix"
    host, port = peer[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
