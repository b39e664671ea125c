"""Requests from the workers: gevent's WSGI server on a Unix socket, quiet and with replies in one piece."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from email.utils import formatdate
from types import TracebackType
from typing import Any

import gevent
from gevent import socket as cooperative
from gevent.pywsgi import WSGIHandler, WSGIServer

from wsgistack.keeper.origin import INTERIM, WAY
from wsgistack.wsgi import WSGIApplication

__all__ = ["Server"]

BACKLOG = 1024
READ_BYTES = 65_536
JOINED_BYTES = 262_144  # of a body that goes out along with its head
BAD_GATEWAY = "502 Bad Gateway"
BAD_TEXT = b"502 Bad Gateway\ncache-failed\n"

Tell = Callable[..., object]


class Server:
    """Listens on *path* from `start` to `stop`.  *tell(event, **fields)* writes the log."""

    def __init__(self, path: str, application: WSGIApplication, tell: Tell) -> None:
        self.path = path
        self.running = 0  # requests
        self.tell = tell
        self._server: Any = None
        self._application = application

    def start(self) -> None:
        """Listen; nobody can connect before everything is ready."""
        passing = f"{self.path}.new"
        for path in (passing, self.path):
            with suppress(FileNotFoundError):
                os.unlink(path)
        listener = cooperative.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(passing)
        listener.listen(BACKLOG)
        environ = {"SERVER_NAME": "localhost", "SERVER_PORT": "80"}
        self._server = WSGIServer(
            listener, self._application, handler_class=_Handler, log=None, error_log=None, environ=environ
        )
        self._server.keeper = self
        self._server.start()
        os.rename(passing, self.path)

    def change(self, application: WSGIApplication) -> None:
        """Answer by *application* from now on."""
        self._application = self._server.application = application

    def stop(self) -> None:
        """Listen no more; what runs goes on."""
        with suppress(FileNotFoundError):
            os.unlink(self.path)
        if self._server is not None:
            self._server.close()


class _Handler(WSGIHandler):  # type: ignore[misc]  # gevent has no annotations
    def __init__(self, sock: Any, address: Any, server: Any, rfile: Any = None) -> None:
        super().__init__(sock, address, server, rfile or sock.makefile("rb", READ_BYTES))

    def get_environ(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environ()
        environ["RAW_URI"] = self.path
        self._interim = environ[INTERIM] = _Interim(self.socket)
        return environ

    def handle_one_response(self) -> None:
        keeper = self.server.keeper
        keeper.running += 1
        try:
            super().handle_one_response()
        finally:
            keeper.running -= 1
            self._interim.is_open = False

    def run_application(self) -> None:
        super().run_application()
        way = self.environ.get(WAY)
        if way is not None and way.is_spent:
            self.close_connection = True
            self.wsgi_input = _Nothing()  # gevent would now read the rest of the body

    def finalize_headers(self) -> None:
        if self.command != "HEAD":
            super().finalize_headers()
        elif self.provided_date is None:  # what a HEAD says of a body's length is not about what follows
            date = formatdate(time.time(), usegmt=True).encode()
            self.response_headers.append((b"Date", date))

    def _write(self, data: bytes) -> None:
        if self.command != "HEAD":
            super()._write(data)

    def _write_with_headers(self, data: bytes) -> None:
        self.headers_sent = True
        self._interim.is_open = False
        self.finalize_headers()
        lines = [b"HTTP/1.1 ", self.status, b"\r\n"]
        for name, value in self.response_headers:
            lines += (name, b": ", value, b"\r\n")
        lines.append(b"\r\n")
        if self.response_use_chunked or self.command == "HEAD" or len(data) > JOINED_BYTES:
            self._sendall(b"".join(lines))
            self._write(data)
        else:
            lines.append(data)
            self._sendall(b"".join(lines))

    def log_request(self) -> None:
        """Leave it to the workers' access log."""

    def _log_error(self, t: type[BaseException], v: BaseException, tb: TracebackType | None) -> None:
        # gevent's own prints many lines on stderr, where the log is.
        if not issubclass(t, gevent.GreenletExit):
            self.server.keeper.tell("cache_failed", target=self.path, error=repr(v), trace=tb)

    def _handle_client_error(self, ex: BaseException) -> tuple[str, bytes]:
        # A worker sends no garbage; whoever else got hold of the socket is not worth a traceback.
        return "400", b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

    def _send_error_response_if_possible(self, error_code: int) -> None:
        self.close_connection = True
        if not self.response_length:
            fields = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(BAD_TEXT)))]
            with suppress(OSError):
                self.start_response(BAD_GATEWAY, [*fields, ("Connection", "close")])
                self.write(BAD_TEXT)


class _Interim:
    """Passes interim responses on to whoever asked, until the final one begins: later ones are for nobody."""

    __slots__ = ("_socket", "is_open")

    def __init__(self, sock: Any) -> None:
        self._socket = sock
        self.is_open = True

    def __call__(self, raw: bytes) -> None:
        if self.is_open:
            self._socket.sendall(raw)


class _Nothing:
    def _discard(self) -> None:
        """Read nothing."""
