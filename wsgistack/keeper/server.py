"""Requests from the workers: WSGI on a Unix socket, quiet and with replies in one piece.

Who asks is our own plane, so that neither end needs a server for the open world (gevent's took a
third of all that the keeper did for a page): heads come whole and in one spelling, nothing is pipelined.
"""

from __future__ import annotations

import errno
import os
import socket as plain_socket
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from email.utils import formatdate
from typing import Any

from gevent import socket as cooperative
from gevent.server import StreamServer

from wsgistack.keeper.origin import INTERIM, WAY
from wsgistack.keeper.replies import BODYLESS, CUT, Malformed, Stream
from wsgistack.keeper.requests import read_request
from wsgistack.keeper.wire import Wire
from wsgistack.wsgi import Environ, ExcInfo, Headers, WSGIApplication

__all__ = ["Server"]

BACKLOG = 1024
JOINED_BYTES = 262_144  # of a body that goes out along with its head
GONE = (errno.EPIPE, errno.ECONNRESET)  # who asked wants no answer any more
BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
BAD_GATEWAY = "502 Bad Gateway"
BAD_TEXT = b"502 Bad Gateway\ncache-failed\n"
BAD_FIELDS = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(BAD_TEXT)))]
CLOSING = ("Connection", "close")

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
        listener = cooperative.socket(plain_socket.AF_UNIX, plain_socket.SOCK_STREAM)
        listener.bind(passing)
        listener.listen(BACKLOG)
        self._server = StreamServer(listener, self._serve)
        self._server.start()
        os.rename(passing, self.path)

    def change(self, application: WSGIApplication) -> None:
        """Answer by *application* from now on."""
        self._application = application

    def stop(self) -> None:
        """Listen no more; what runs goes on."""
        with suppress(FileNotFoundError):
            os.unlink(self.path)
        if self._server is not None:
            self._server.close()

    def _serve(self, sock: Any, address: object) -> None:
        """Answer what comes on a connection, until it ends."""
        wire = Wire(plain_socket.socket(fileno=sock.detach()))
        stream = Stream(wire.receive)
        try:
            while self._answer(wire, stream):
                pass
        except OSError as error:
            if error.errno not in GONE:
                raise
        finally:
            wire.close()

    def _answer(self, wire: Wire, stream: Stream) -> bool:
        """Answer one request; return whether another one may come."""
        try:
            environ = read_request(stream)
        except Malformed as malformed:
            if str(malformed) != CUT:  # a worker sends no garbage: somebody else got hold of the socket
                wire.send(BAD_REQUEST)
            return False
        reply = _Reply(wire, str(environ["REQUEST_METHOD"]))
        environ[INTERIM] = reply.pass_interim
        self.running += 1
        try:
            reply.send(self._application, environ)
            return reply.keeps and _is_over(environ)
        except Exception as error:  # noqa: BLE001 - whatever it is, the others are answered
            if not (isinstance(error, OSError) and error.errno in GONE):
                trace = error.__traceback__
                self.tell("cache_failed", target=environ["RAW_URI"], error=repr(error), trace=trace)
                reply.fail()
            return False
        finally:
            self.running -= 1
            reply.is_sent = True


def _is_over(environ: Environ) -> bool:
    """Read what nobody wanted of the request's body; return whether all of it came."""
    way = environ.get(WAY)
    if way is not None and way.is_spent:
        return False
    try:
        while environ["wsgi.input"].read():
            pass
    except (Malformed, OSError):
        return False
    return str(environ.get("HTTP_CONNECTION", "")).lower() != "close"


class _Reply:
    """What is answered to one request, on its way."""

    __slots__ = (
        "_has_body",
        "_headers",
        "_is_chunked",
        "_is_head",
        "_result",
        "_status",
        "_wire",
        "is_sent",
        "keeps",
    )

    def __init__(self, wire: Wire, method: str) -> None:
        self._wire = wire
        self._is_head = method == "HEAD"
        self._has_body = not self._is_head
        self._status = ""
        self._headers: Headers = []
        self._result: Iterable[bytes] | None = None
        self._is_chunked = False
        self.is_sent = False  # the head
        self.keeps = True

    def pass_interim(self, raw: bytes) -> None:
        """Pass an interim response on, until the final one begins: later ones are for nobody."""
        if not self.is_sent:
            self._wire.send(raw)

    def send(self, application: WSGIApplication, environ: Environ) -> None:
        """Send all that *application* answers."""
        self._result = result = application(environ, self.start)
        try:
            for block in result:
                if block:
                    self.write(block)
            if not self.is_sent:
                self.write(b"")
            if self._is_chunked:
                self._wire.send(b"0\r\n\r\n")
        finally:
            self._result = None  # which leads back here: nothing is left to the garbage collector
            close = getattr(result, "close", None)
            if close is not None:
                close()

    def start(
        self, status: str, headers: Headers, exc_info: ExcInfo | None = None, /
    ) -> Callable[[bytes], object]:
        """Take the head; it goes out with the first block."""
        if self.is_sent and exc_info is not None and exc_info[1] is not None:
            raise exc_info[1].with_traceback(exc_info[2])
        self._status, self._headers = status, headers
        self._has_body = not self._is_head and int(status[:3]) not in BODYLESS
        return self.write

    def write(self, block: bytes) -> None:
        """Send a block, behind the head if it is the first."""
        if not self._has_body:
            block = b""
        if not self.is_sent:
            head = self._make_head()
            self.is_sent = True
            if self._is_chunked or len(block) > JOINED_BYTES:
                self._wire.send(head)
            else:
                block = head + block
        if self._is_chunked and block:
            block = b"%x\r\n%b\r\n" % (len(block), block)
        if block:
            self._wire.send(block)

    def _make_head(self) -> bytes:
        headers = self._headers
        names = {name.lower(): value for name, value in headers}
        lines = [f"HTTP/1.1 {self._status}", *[f"{name}: {value}" for name, value in headers]]
        if "date" not in names:
            lines.append(f"Date: {formatdate(time.time(), usegmt=True)}")
        if self._has_body and "content-length" not in names:
            lines.append(self._frame())
        if names.get("connection") == "close":
            self.keeps = False
        text = "\r\n".join(lines)
        if text.count("\n") != len(lines) - 1 or text.count("\r") != len(lines) - 1:
            raise ValueError("a line break in a field of the response")
        return text.encode("latin-1") + b"\r\n\r\n"

    def _frame(self) -> str:
        """Return the field that says where the body ends."""
        result = self._result
        if result is not None and hasattr(result, "__len__"):
            return f"Content-Length: {sum(map(len, result))}"
        self._is_chunked = True
        return "Transfer-Encoding: chunked"

    def fail(self) -> None:
        """Say that nothing can be said, if nothing was."""
        self.keeps = False
        if not self.is_sent:
            self._is_chunked = False
            self.start(BAD_GATEWAY, [*BAD_FIELDS, CLOSING])
            with suppress(OSError):
                self.write(BAD_TEXT)
