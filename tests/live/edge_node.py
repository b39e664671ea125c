"""The node of the edge's fuzzer: `python -m tests.live.edge_node PORT LOG`, begun anew when it dies.

It reads what a careful balancer may write and nothing else: every request in its plainest form.  Whatever it
reads is a line of JSON in LOG: the request, or a fault.  The field X-T-Do says how it answers.
"""

from __future__ import annotations

import json
import os
import random
import re
import socket
import struct
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from tests.live.edge_model import TOKEN, make_mark

__all__ = ["ANSWERS", "DEADLY", "POISON", "main"]

POISON = b"HTTP/1.1 200 OK\r\nX-Poison: poison\r\nContent-Length: 6\r\n\r\npoison"
LINE = re.compile(rb"(%s) (/[\x21\x22\x24-\x7e]*|\*) HTTP/1\.1" % TOKEN)
FIELD = re.compile(
    rb"([!#$%&'*+\-.^`|~0-9A-Za-z]+):[ \t]*((?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?)[ \t]*"
)
SIZE = re.compile(rb"0|[1-9a-f][0-9a-f]{0,15}")
FORBIDDEN = {b"te", b"keep-alive", b"proxy-connection", b"proxy", b"expect"}
LINGER = struct.pack("ii", 1, 0)


class Request(NamedTuple):
    """One request as it was read; *body* without its framing."""

    method: bytes
    target: bytes
    fields: list[tuple[bytes, bytes]]
    length: int | None

    def value(self, name: bytes, default: bytes = b"") -> bytes:
        """Return the first value of a field."""
        return next((value for key, value in self.fields if key == name), default)


class Fault(Exception):
    """The balancer wrote what it must not write."""


class Log:
    """Lines of one file, whole whatever becomes of this process."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def write(self, **entry: object) -> None:
        """Write one line."""
        os.write(self._file, json.dumps(entry).encode() + b"\n")


class Reader:
    """The bytes of one connection; EOFError where it ends."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.data = b""

    def more(self) -> None:
        """Wait for more."""
        got = self.socket.recv(65536)
        if not got:
            raise EOFError
        self.data += got

    def until(self, marker: bytes) -> bytes:
        """Return what comes before *marker*, which is taken too."""
        while marker not in self.data:
            self.more()
        found, _, self.data = self.data.partition(marker)
        return found

    def head(self) -> Request:
        """Return the next head; Fault where it is not in the form that a balancer writes."""
        raw = self.until(b"\r\n\r\n")
        lines = raw.split(b"\r\n")
        line, fields = LINE.fullmatch(lines[0]), [FIELD.fullmatch(one) for one in lines[1:]]
        if not line or not all(fields):
            raise Fault(f"no head: {raw!r}")
        pairs = [(one[1].lower(), one[2]) for one in fields if one]
        names = [name for name, _ in pairs]
        for name in (b"host", b"via"):
            if names.count(name) != 1:
                raise Fault(f"{name!r} {names.count(name)} times: {raw!r}")
        if found := FORBIDDEN & set(names):
            raise Fault(f"{found!r} in {raw!r}")
        if b"connection" in names and dict(pairs)[b"connection"].lower() not in (b"close", b"upgrade"):
            raise Fault(f"Connection in {raw!r}")
        return Request(line[1], line[2], pairs, self._length(pairs, raw))

    def _length(self, pairs: list[tuple[bytes, bytes]], raw: bytes) -> int | None:
        lengths = [value for name, value in pairs if name == b"content-length"]
        codings = [value for name, value in pairs if name == b"transfer-encoding"]
        if len(lengths) + len(codings) > 1:
            raise Fault(f"framed twice: {raw!r}")
        if codings and codings != [b"chunked"]:
            raise Fault(f"framed oddly: {raw!r}")
        if lengths and not re.fullmatch(rb"0|[1-9][0-9]*", lengths[0]):
            raise Fault(f"length: {raw!r}")
        return None if codings else int(lengths[0]) if lengths else 0

    def body(self, length: int | None, got: bytearray) -> None:
        """Read the body into *got*, which holds what came of it when it ends too early."""
        while length is None:
            line = self.until(b"\r\n")
            if not SIZE.fullmatch(line):
                raise Fault(f"chunk size {line!r}")
            if line == b"0":
                break
            self._take(int(line, 16), got)
            while len(self.data) < 2:
                self.more()
            if self.data[:2] != b"\r\n":
                raise Fault(f"after a chunk {self.data[:9]!r}")
            self.data = self.data[2:]
        if length is not None:
            self._take(length, got)
            return
        while line := self.until(b"\r\n"):
            if not FIELD.fullmatch(line):
                raise Fault(f"trailer {line!r}")

    def _take(self, size: int, got: bytearray) -> None:
        while size:
            if not self.data:
                self.more()
            part, self.data = self.data[:size], self.data[size:]
            got += part
            size -= len(part)


def fill(request: Request, *fields: bytes, status: bytes = b"200 OK", line: bytes = b"HTTP/1.1") -> bytes:
    """Return the head of an answer that has *fields* and names its request."""
    mark = b"X-Mark: " + make_mark(request.method, request.target)
    return b"\r\n".join([line + b" " + status, mark, *fields]) + b"\r\n\r\n"


def counted(request: Request, body: bytes, **how: bytes) -> bytes:
    """Return an answer with a length; HEAD and statuses without a body get none."""
    head = fill(request, b"Content-Length: %d" % len(body), **how)
    return head if request.method == b"HEAD" else head + body


def chunked(request: Request, tail: bytes = b"0\r\n\r\n") -> bytes:
    """Return an answer in chunks that ends as *tail* does."""
    head = fill(request, b"Transfer-Encoding: chunked")
    return head if request.method == b"HEAD" else head + b'5;a="b;c"\r\nhello\r\n005\r\nworld\r\n' + tail


def mutated(request: Request) -> bytes:
    """Return an answer with some bytes changed, doubled or gone, the same ones for the same target."""
    rng = random.Random(request.target)
    out = bytearray(rng.choice((counted, chunked))(request, b"0\r\n\r\n"))
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(len(out))
        out[at : at + rng.choice((0, 1, 2))] = rng.choice((rng.randbytes(1), b"\r\n", b" ", b":", b"0", b""))
    line, end, rest = bytes(out).partition(b"\r\n")
    return line + end + b"Connection: close\r\n" + rest  # else the next POST would run into the end


Answer = Callable[[Request], tuple[bytes, str]]
HELLO = b"helloworld"
# What each word of X-T-Do is answered with, and what becomes of the connection then.
ANSWERS: dict[str, Answer] = {
    "plain": lambda r: (counted(r, HELLO), "keep"),
    "chunked": lambda r: (chunked(r), "keep"),
    "trailers": lambda r: (chunked(r, b"0\r\nX-T: y\r\nContent-Length: 3\r\n\r\n"), "keep"),
    "close": lambda r: (fill(r, b"Connection: close") + (b"" if r.method == b"HEAD" else HELLO), "close"),
    "old": lambda r: (counted(r, HELLO, line=b"HTTP/1.0"), "close"),
    "big": lambda r: (counted(r, HELLO * 40000), "keep"),
    "empty": lambda r: (fill(r, status=b"204 No Content"), "keep"),
    "same": lambda r: (fill(r, b"Content-Length: 9", status=b"304 Not Modified"), "keep"),
    "hints": lambda r: (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 3 + counted(r, HELLO), "keep"),
    "go on": lambda r: (b"HTTP/1.1 100 Continue\r\n\r\n" + counted(r, HELLO), "keep"),
    "head body": lambda r: (counted(r, POISON) + POISON if r.method == b"HEAD" else counted(r, HELLO), "keep"),
    "204 body": lambda r: (fill(r, b"Content-Length: 1", status=b"204 No Content") + POISON, "keep"),
    "304 body": lambda r: (fill(r, b"Content-Length: 66", status=b"304 Not Modified") + POISON, "keep"),
    "stray": lambda r: (counted(r, HELLO) + POISON, "keep"),
    "stray chunked": lambda r: (chunked(r) + POISON, "keep"),
    "short": lambda r: (fill(r, b"Content-Length: 99") + HELLO, "close"),
    "short, reset": lambda r: (fill(r, b"Content-Length: 99") + HELLO, "reset"),
    "no last chunk": lambda r: (chunked(r, b""), "close"),
    "bad chunk": lambda r: (chunked(r, b"0x5\r\nhello\r\n0\r\n\r\n"), "keep"),
    "bad chunk end": lambda r: (chunked(r, b"5\r\nhelloxx0\r\n\r\n"), "keep"),
    "two lengths": lambda r: (fill(r, b"Content-Length: 3", b"Content-Length: 10") + HELLO, "keep"),
    "length list": lambda r: (fill(r, b"Content-Length: 3, 10") + HELLO, "keep"),
    "signed": lambda r: (fill(r, b"Content-Length: +10") + HELLO, "keep"),
    "both": lambda r: (fill(r, b"Content-Length: 3", b"Transfer-Encoding: chunked") + b"0\r\n\r\n" + POISON, "keep"),
    "old chunked": lambda r: (fill(r, b"Transfer-Encoding: chunked", line=b"HTTP/1.0") + b"0\r\n\r\n", "close"),
    "folded": lambda r: (fill(r, b"X: a", b" b", b"Content-Length: 0"), "keep"),
    "no status": lambda r: (fill(r, b"Content-Length: 0", status=b"2xx OK"), "keep"),
    "many hints": lambda r: (b"HTTP/1.1 103 Early Hints\r\n\r\n" * 99 + counted(r, HELLO), "keep"),
    "endless": lambda r: (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200000, "close"),
    "unasked 101": lambda r: (fill(r, b"Upgrade: x", b"Connection: upgrade", status=b"101 X") + POISON, "close"),
    "garbage": lambda r: (random.Random(r.target).randbytes(300), "close"),
    "mutated": lambda r: (mutated(r), "close"),
    "half a head": lambda r: (b"HTTP/1.1 200 OK\r\nContent-Le", "close"),
    "nothing": lambda r: (b"", "close"),
    "reset": lambda r: (b"", "reset"),
    "hang": lambda r: (b"", "hang"),
    "half, hang": lambda r: (fill(r, b"Content-Length: 99") + HELLO, "hang"),
    "die": lambda r: (b"", "die"),
    "half, die": lambda r: (fill(r, b"Content-Length: 99") + HELLO, "die"),
    "switch": lambda r: (counted(r, HELLO), "keep"),  # not asked for an upgrade, or see `tunnel`
    "early": lambda r: (fill(r, b"Connection: close", b"Content-Length: 0", status=b"413 Enough"), "close"),
    "early, on": lambda r: (counted(r, HELLO), "keep"),
}  # fmt: skip
EARLY = ("early", "early, on")
DEADLY = ("die", "half, die")


def serve(sock: socket.socket, log: Log) -> None:
    """Serve one connection until its end, or the first fault."""
    reader = Reader(sock)
    got = bytearray()
    entry: dict[str, object] = {}
    try:
        while True:
            got, entry = bytearray(), {}
            request = reader.head()
            entry = {
                "method": request.method.decode("latin-1"),
                "target": request.target.decode("latin-1"),
                "host": request.value(b"host").decode("latin-1"),
                "ours": [[k.decode("latin-1"), v.decode("latin-1")] for k, v in request.fields if k[:4] == b"x-t-"],
            }  # fmt: skip
            do = request.value(b"x-t-do", b"plain").decode("latin-1")
            if do in EARLY:
                sock.sendall(ANSWERS[do](request)[0])
            reader.body(request.length, got)
            upgrade = request.value(b"upgrade").lower() == b"websocket"
            if reader.data and not upgrade:
                raise Fault(f"more than was asked for: {reader.data[:200]!r}")
            log.write(**entry, body=got.decode("latin-1"), whole=True)
            entry = {}
            if do == "switch" and upgrade:
                tunnel(reader, request, log)
                return
            if not act(sock, do, request):
                return
    except Fault as fault:
        log.write(fault=str(fault))
    except (EOFError, OSError):
        if entry:
            log.write(**entry, body=got.decode("latin-1"), whole=False)


def act(sock: socket.socket, do: str, request: Request) -> bool:
    """Answer *request*; tell whether the connection goes on."""
    data, then = ANSWERS.get(do, ANSWERS["plain"])(request)
    if do in EARLY:
        data = b""  # it was sent before the body came
    head, end, body = data.partition(b"\r\n\r\n")
    for part in (head + end, body) if do.endswith(" body") else (data,):
        sock.sendall(part)  # stray bytes in a segment of their own, as waitress sends them
    if then == "die":
        os._exit(0)
    if then == "hang":
        with suppress(OSError):
            sock.recv(1)  # until the balancer has enough of it
    if then == "reset":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
    return then == "keep"


def tunnel(reader: Reader, request: Request, log: Log) -> None:
    """Answer 101, then send back whatever comes, and log it."""
    got = bytearray()
    with suppress(EOFError, OSError):
        fields = (b"Upgrade: websocket", b"Connection: upgrade")
        reader.socket.sendall(fill(request, *fields, status=b"101 Switching Protocols"))
        while True:
            if not reader.data:
                reader.more()
            got += reader.data
            part, reader.data = reader.data, b""
            reader.socket.sendall(part)
    log.write(tunnel=got.decode("latin-1"), target=request.target.decode("latin-1"))


def accept(listener: socket.socket, log: Log) -> None:
    """Serve each connection in a thread, for ever."""

    def run(sock: socket.socket) -> None:
        with sock:
            serve(sock, log)

    while True:
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=run, args=(sock,), daemon=True).start()


def main(port: int, path: str) -> None:
    """Listen, and let a child serve, and another one when that has died: connections wait meanwhile."""
    listener = socket.create_server(("127.0.0.1", port), backlog=1024)
    while True:
        child = os.fork()
        if child == 0:
            accept(listener, Log(path))
        os.waitpid(child, 0)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
