"""The admin port: telnet and Unix-socket sessions over the language.

One greenlet per session; while it waits for a line it costs nothing.  A reply is written
before the next line is read, so a reader that does not read holds up only itself.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import gevent
from gevent import socket

from wsgistack.balancer.events import Log
from wsgistack.balancer.language.replies import Error, Quit, Reply, Row, Shutdown, encode
from wsgistack.balancer.language.session import LineBuffer, Overlong, Session

__all__ = ["AdminPort", "AdminSessions", "Perform"]

Perform = Callable[[str, Session], Reply]  # returns everything but an Ask

MOST_SESSIONS = 64
WRITE_TIMEOUT_S = 30.0
LINGER_S = 1.0
READ_BYTES = 16384
WRITE_BYTES = 65536
ACCEPT_PAUSE_S = 0.1  # after EMFILE and its like

# A page that a browser shows may make it send a request anywhere, this port included; its first
# line looks like this whatever else is in it ("HTML form protocol attack", Topf, 2001).
HTTP = re.compile(
    r"\S+ .*HTTP/\d|(GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH|TRACE|CONNECT|PRI) \S", re.IGNORECASE
)
NOT_HTTP = "this is the admin port, it does not speak HTTP"


class AdminSessions:
    """The sessions of all admin ports, at most MOST_SESSIONS."""

    def __init__(self, perform: Perform, log: Log) -> None:
        self._perform = perform
        self._log = log
        self._open: dict[Any, tuple[str, float]] = {}

    def rows(self, now: float) -> list[Row]:
        """Return a row of `socks` for each session."""
        return [
            {"kind": "manage", "fd": sock.fileno(), "age": now - since, "peer": peer, "state": "open"}
            for sock, (peer, since) in self._open.items()
        ]

    def begin(self, sock: Any, peer: str) -> None:
        """Serve a new connection in a greenlet, or refuse it."""
        if len(self._open) >= MOST_SESSIONS:
            gevent.spawn(self._refuse, sock)
            return
        self._open[sock] = (peer, time.time())
        gevent.spawn(self._run, sock)

    def close(self) -> None:
        """End all sessions at once."""
        for sock in list(self._open):
            sock.close()

    def _refuse(self, sock: Any) -> None:
        try:
            _write(sock, encode(Error(f"{MOST_SESSIONS} admin sessions are open already"), verbose=True))
        except OSError:
            pass
        finally:
            sock.close()

    def _run(self, sock: Any) -> None:
        try:
            if sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for answer in self._answers(sock):
                _write(sock, answer)
            _linger(sock)
        except OSError:
            pass  # the peer went away, or does not read
        finally:
            self._open.pop(sock, None)
            sock.close()

    def _answers(self, sock: Any) -> Iterator[bytes]:
        """Yield what to write, until the session is over."""
        session = Session(peer=self._open[sock][0])
        for number, line in enumerate(_lines(sock)):
            if isinstance(line, Overlong):
                yield encode(Error(line.text), verbose=True)
                return
            if number == 0 and HTTP.match(line):
                self._log.warn("admin_refused", peer=self._open[sock][0], reason="http")
                yield encode(Error(NOT_HTTP), verbose=True)
                return
            reply = self._reply(line, session)
            yield encode(reply, verbose=session.verbose)
            if isinstance(reply, Quit) or (isinstance(reply, Shutdown) and not reply.graceful):
                return

    def _reply(self, line: str, session: Session) -> Reply:
        try:
            return self._perform(line, session)
        except Exception as error:  # noqa: BLE001 - see below
            # A mistake of ours must not take the port down; it is said where it can be mended.
            self._log.error("admin_failed", line=line, error=repr(error), at=_place(error))
            return Error("internal error, the log says more")


def _lines(sock: Any) -> Iterator[str | Overlong]:
    buffer = LineBuffer()
    while data := sock.recv(READ_BYTES):
        yield from buffer.feed(data)


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


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""


class AdminPort:
    """One listening socket of a management service."""

    def __init__(self, listening: Any, sessions: AdminSessions) -> None:
        self._socket = socket.socket(listening.family, socket.SOCK_STREAM, fileno=listening.detach())
        self._sessions = sessions
        self._acceptor = gevent.spawn(self._accept)

    def close(self) -> None:
        """Stop listening; sessions go on."""
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
            self._sessions.begin(sock, _name(peer))


def _name(peer: object) -> str:
    if not isinstance(peer, tuple):
        return "unix"
    host, port = peer[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
