"""HTTP on an admin connection: gevent's WSGI server for one request, within a time limit."""

from __future__ import annotations

import io
from types import TracebackType
from typing import Any

import gevent
from gevent.pywsgi import WSGIHandler, WSGIServer

from wsgistack.balancer.admin.door import Door
from wsgistack.balancer.admin.web import DOOR, Pages
from wsgistack.balancer.events import find_place

__all__ = ["Pages", "serve_http"]

REQUEST_LIMIT_S = 30.0  # for the request, the commands and the answer together
READ_BYTES = 16384
BAD_REQUEST = (
    b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: application/json\r\n"
    b'Content-Length: 49\r\n\r\n{"ok": false, "error": "this is no HTTP request"}'
)


def serve_http(sock: Any, opening: bytes, door: Door, pages: Pages) -> None:
    """Answer the request that begins with *opening*; raises OSError when the peer goes away.

    *sock* stays open, and what the peer sent beyond its request may lie there unread.
    """
    server = WSGIServer(
        ("", 0),  # never bound: port.py accepts
        pages,
        log=None,
        error_log=None,
        environ={DOOR: door, "SERVER_NAME": "wsgistack", "SERVER_PORT": "0"},
    )
    replay = _Replay(opening, sock)
    with gevent.Timeout(REQUEST_LIMIT_S, False):
        _Handler(sock.dup(), door, server, replay).handle()


class _Handler(WSGIHandler):  # type: ignore[misc]  # gevent has no annotations
    def __init__(self, sock: Any, door: Door, server: WSGIServer, replay: _Replay) -> None:
        super().__init__(sock, door.peer, server, io.BufferedReader(replay, READ_BYTES))
        self._door = door
        self._replay = replay

    def run_application(self) -> None:
        super().run_application()
        self._replay.end()  # gevent would now read the rest of the body, however long it is

    def _log_error(self, t: type[BaseException], v: BaseException, tb: TracebackType | None) -> None:
        # gevent's own prints many lines on stderr, where the log is.
        if not issubclass(t, gevent.Timeout):
            self._door.log.error("admin_failed", peer=self._door.peer, error=repr(v), at=find_place(v))

    def _handle_client_error(self, ex: BaseException) -> tuple[str, bytes]:
        # gevent's own prints a traceback for some garbage; whoever sent it is not worth one.
        return "400", BAD_REQUEST


class _Replay(io.RawIOBase):
    """The connection from its beginning: first what was read already, then the rest."""

    def __init__(self, opening: bytes, sock: Any) -> None:
        self._left = opening
        self._sock = sock
        self._ended = False

    def readable(self) -> bool:
        return True

    def end(self) -> None:
        """Read nothing any more."""
        self._ended = True

    def readinto(self, buffer: Any) -> int:
        if self._ended:
            return 0
        if not self._left:
            return int(self._sock.recv_into(buffer))
        size = min(len(buffer), len(self._left))
        buffer[:size], self._left = self._left[:size], self._left[size:]
        return size
