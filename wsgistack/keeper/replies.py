"""Responses of HTTP/1.1 as they come from the inner listener: heads and bodies, without a socket.

Who speaks is our own plane, which has judged a node's response already; what is malformed all the
same is a Malformed, and the connection is done for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

__all__ = ["BLOCK_BYTES", "Head", "Malformed", "Reply", "Stream", "read_reply"]

BLOCK_BYTES = 65_536
LONGEST_HEAD = 262_144
LONGEST_SIZE_LINE = 4096
BODYLESS = frozenset((204, 304))
HOPS = frozenset(
    ("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade")
)
CUT = "cut-short"  # of a body that ends too soon


class Malformed(Exception):
    """What came is no response, or it ended too soon."""


@dataclass(frozen=True, slots=True)
class Head:
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

    def __init__(self, receive: Callable[[int], bytes]) -> None:
        self._receive = receive
        self._held = bytearray()
        self.has_begun = False  # something came since it was last set

    def line_block(self, end: bytes, longest: int) -> bytes:
        """Return what stands before *end*, which is taken too."""
        held, seen = self._held, 0
        while (at := held.find(end, seen)) < 0:
            seen = max(len(held) - len(end) + 1, 0)
            if len(held) > longest:
                raise Malformed("too-long")
            self._more()
        block = bytes(held[:at])
        del held[: at + len(end)]
        return block

    def some(self, most: int) -> bytes:
        """Return from one byte to *most*, b"" at the end."""
        if self._held:
            block = bytes(self._held[:most])
            del self._held[:most]
            return block
        return self._receive(min(most, BLOCK_BYTES))

    def _more(self) -> None:
        data = self._receive(BLOCK_BYTES)
        if not data:
            raise Malformed(CUT)
        self.has_begun = True
        self._held += data

    @property
    def is_clean(self) -> bool:
        """Tell whether nothing lies here that nobody asked for."""
        return not self._held


@dataclass(frozen=True, slots=True)
class Reply:
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
            return Reply(head, _read_body(stream, head.length))
        if pass_on is not None and head.status != 100:
            pass_on(raw + b"\r\n\r\n")


def _read_head(raw: bytes, method: str) -> Head:
    lines = raw.decode("latin-1").split("\r\n")
    version, _, rest = lines[0].partition(" ")
    code, _, reason = rest.partition(" ")
    if version not in ("HTTP/1.1", "HTTP/1.0") or len(code) != 3 or not code.isdecimal():
        raise Malformed("status-line")
    fields: list[tuple[str, str]] = []
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or not name:
            raise Malformed("field-line")
        fields.append((name, value.strip(" \t")))
    return _make_head(int(code), reason, fields, version, method)


def _make_head(status: int, reason: str, fields: list[tuple[str, str]], version: str, method: str) -> Head:
    length: int | None = -1
    keeps, own, named = version == "HTTP/1.1", "", set(HOPS)
    for name, value in fields:
        lower = name.lower()
        if lower == "content-length" and length is not None:
            if not value.isascii() or not value.isdecimal():
                raise Malformed("content-length")
            length = int(value)
        elif lower == "transfer-encoding":
            length = None
        elif lower == "connection":
            words = [word.strip().lower() for word in value.split(",")]
            keeps = keeps and "close" not in words
            named.update(words)
        elif lower == "wsgistack-own":
            own = value
            named.add(lower)
    if method == "HEAD" or status < 200 or status in BODYLESS:
        length = 0
    kept = [(name, value) for name, value in fields if name.lower() not in named]
    return Head(status, reason, kept, length, keeps and length != -1, own)


def _read_body(stream: Stream, length: int | None) -> Iterator[bytes]:
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
        size, _, _ = stream.line_block(b"\r\n", LONGEST_SIZE_LINE).partition(b";")
        try:
            left = int(size, 16)
        except ValueError:
            raise Malformed("chunk-size") from None
        if not left:
            break
        yield from _read_counted(stream, left)
        if stream.line_block(b"\r\n", 2):
            raise Malformed("chunk-end")
    while stream.line_block(b"\r\n", LONGEST_HEAD):
        pass  # trailers are for nobody: RFC 9110 §6.5.1
