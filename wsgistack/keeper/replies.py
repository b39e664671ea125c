"""Responses of HTTP/1.1 as they come from the inner listener: heads and bodies, without a socket.

Who speaks is our own plane, which has judged a node's response already; what is malformed all the
same is a Malformed, and the connection is done for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

__all__ = [
    "BLOCK_BYTES",
    "CUT",
    "LONGEST_HEAD",
    "Head",
    "Malformed",
    "Reply",
    "Stream",
    "read_body",
    "read_length",
    "read_reply",
]

BLOCK_BYTES = 65_536
LONGEST_HEAD = 262_144
LONGEST_SIZE_LINE = 4096
# Python reads signs, spaces and "_" in numbers too, and raises for very many digits.
LENGTH = re.compile(r"[0-9]{1,18}", re.ASCII)
CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?", re.DOTALL)
BODYLESS = frozenset((204, 304))
OWN = "wsgistack-own"
LEFT_OUT = frozenset(
    ("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", OWN)
)
TELLING = LEFT_OUT | {"content-length"}
CUT = "cut-short"  # of a body that ends too soon


class Malformed(Exception):
    """What came is no response, or it ended too soon."""


class Head(NamedTuple):
    """Status line and fields as a WSGI application tells them: latin-1, without those of the hop.

    *length*: bytes of the body that follows, None for one in chunks, -1 for one that the end of the
    connection ends.  *keeps*: the connection can be used again after it.  *own*: why the balancer
    itself answered, "" for a node's answer.
    """

    status: int
    reason: str
    fields: list[tuple[str, str]]
    length: int | None
    keeps: bool
    own: str = ""


class Stream:
    """Bytes of one connection, in order; *receive(n)* returns up to n of them, b"" at the end."""

    __slots__ = ("_at", "_held", "_receive", "has_begun")

    def __init__(self, receive: Callable[[int], bytes]) -> None:
        self._receive = receive
        self._held = b""
        self._at = 0  # what stands before it was taken
        self.has_begun = False  # something came since it was last set

    def line_block(self, end: bytes, longest: int) -> bytes:
        """Return what stands before *end*, which is taken too."""
        held, start = self._held, self._at
        seen = start
        while (at := held.find(end, seen)) < 0:
            if len(held) - start > longest:
                raise Malformed("too-long")
            data = self._receive(BLOCK_BYTES)
            if not data:
                raise Malformed(CUT)
            self.has_begun = True
            held, seen = held[start:] + data, max(len(held) - start - len(end) + 1, 0)
            self._held, self._at, start = held, 0, 0
        self._take(at + len(end))
        return held[start:at]

    def some(self, most: int) -> bytes:
        """Return from one byte to *most* and BLOCK_BYTES, b"" at the end."""
        most = min(most, BLOCK_BYTES)
        start = self._at
        if start == len(self._held):
            return self._receive(most)
        block = self._held[start : start + most]
        self._take(start + len(block))
        return block

    def take(self, length: int) -> bytes | None:
        """Return that many bytes if they are here already, else None and nothing is taken."""
        start = self._at
        if len(self._held) - start < length:
            return None
        block = self._held[start : start + length]
        self._take(start + length)
        return block

    def _take(self, up_to: int) -> None:
        if up_to == len(self._held):  # connections that rest hold nothing
            self._held, up_to = b"", 0
        self._at = up_to

    @property
    def is_clean(self) -> bool:
        """Tell whether nothing lies here that nobody asked for."""
        return self._at == len(self._held)


class Reply(NamedTuple):
    """A head, and the blocks that follow it."""

    head: Head
    blocks: Iterator[bytes]


def read_reply(stream: Stream, method: str, pass_on: Callable[[bytes], object] | None = None) -> Reply:
    """Return the final response to a request; *pass_on* gets the bytes of interim ones (1xx), but no 100.

    Its blocks raise Malformed when the body ends too soon.
    """
    while True:
        raw = stream.line_block(b"\r\n\r\n", LONGEST_HEAD)
        head = _read_head(raw, method)
        if head.status >= 200:
            return Reply(head, read_body(stream, head.length))
        if pass_on is not None and head.status != 100:
            pass_on(raw + b"\r\n\r\n")


def _read_head(raw: bytes, method: str) -> Head:
    lines = raw.decode("latin-1").split("\r\n")
    version, _, rest = lines[0].partition(" ")
    code, _, reason = rest.partition(" ")
    if version not in ("HTTP/1.1", "HTTP/1.0") or len(code) != 3 or not code.isdecimal():
        raise Malformed("status-line")
    del lines[0]
    fields, told = [], []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name:
            raise Malformed("field-line")
        lower = name.lower()
        if lower in TELLING:
            told.append((lower, value.strip(" \t")))
            if lower in LEFT_OUT:
                continue
        fields.append((name, value.strip(" \t")))
    return _make_head(Head(int(code), reason, fields, -1, version == "HTTP/1.1"), told, method)


def _make_head(head: Head, told: list[tuple[str, str]], method: str) -> Head:
    """Return *head* with what the fields *told*, which are about this connection, say of it.

    Malformed where two lengths differ: nobody knows where the body ends.  RFC 9112 §6.3 (5).
    """
    status, reason, fields, _, keeps, own = head
    length, is_chunked = -1, False
    named: set[str] = set()
    for name, value in told:
        if name == "content-length":
            found = read_length(value)
            if length not in (-1, found):
                raise Malformed("content-lengths")
            length = found
        elif name == "transfer-encoding":
            is_chunked = True
        elif name == "connection":
            words = [word.strip().lower() for word in value.split(",")]
            keeps = keeps and "close" not in words
            named.update(words)
        elif name == OWN:
            own = value
    if method == "HEAD" or status < 200 or status in BODYLESS:
        length, is_chunked = 0, False
    if named:
        fields = [(name, value) for name, value in fields if name.lower() not in named]
    if is_chunked:
        return Head(status, reason, fields, None, keeps, own)
    return Head(status, reason, fields, length, keeps and length != -1, own)


def read_length(value: str) -> int:
    """Return what a Content-Length says; Malformed where it is no number of bytes."""
    if LENGTH.fullmatch(value) is None:
        raise Malformed("content-length")
    return int(value)


def read_body(stream: Stream, length: int | None) -> Iterator[bytes]:
    """Return the blocks of a body of *length* bytes; None: it is in chunks, -1: it ends with the connection.

    None is larger than BLOCK_BYTES.  Malformed when it ends too soon.
    """
    if length is None:
        return _read_chunks(stream)
    return _read_to_the_end(stream) if length < 0 else _read_counted(stream, length)


def _read_counted(stream: Stream, left: int) -> Iterator[bytes]:
    while left:
        block = stream.some(left)
        if not block:
            raise Malformed(CUT)
        left -= len(block)
        yield block


def _read_to_the_end(stream: Stream) -> Iterator[bytes]:
    while block := stream.some(BLOCK_BYTES):
        yield block


def _read_chunks(stream: Stream) -> Iterator[bytes]:
    while True:
        size = CHUNK_SIZE.fullmatch(stream.line_block(b"\r\n", LONGEST_SIZE_LINE))
        if size is None:
            raise Malformed("chunk-size")
        left = int(size[1], 16)
        if not left:
            break
        yield from _read_counted(stream, left)
        if stream.line_block(b"\r\n", 2):
            raise Malformed("chunk-end")
    while stream.line_block(b"\r\n", LONGEST_HEAD):
        pass  # trailers are for nobody: RFC 9110 §6.5.1
