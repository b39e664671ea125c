"""What a client asked for, by its bytes alone: HTTP/1.x of RFC 9110 and 9112, read by regular expressions.

Written for the fuzzer of the balancer's edge and independent of the balancer's parser.  Where the standard
lets a recipient choose, the careful choice is taken: whatever could be read in two ways ends the stream.
"""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple

__all__ = ["Asked", "Stream", "make_mark", "read_stream"]

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
LINE = re.compile(rb"(%s) ([\x21\x22\x24-\x7e]+) HTTP/1\.([0-9])" % TOKEN)
FIELD = re.compile(rb"(%s):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*" % TOKEN)
AUTHORITY = re.compile(
    rb"(?:\[[0-9A-Za-z:.~\-!$&'()*+,;=]+\]|(?:[0-9A-Za-z\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})*)(?::[0-9]*)?"
)
ABSOLUTE = re.compile(rb"[hH][tT][tT][pP][sS]?://([^/?@]+)(.*)")
QUOTED = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"'
EXTENSION = rb"[ \t]*;[ \t]*%s(?:[ \t]*=[ \t]*(?:%s|%s))?" % (TOKEN, TOKEN, QUOTED)
CHUNK = re.compile(rb"0*([0-9A-Fa-f]{1,16})(?:%s)*" % EXTENSION)
# What the node is told to do, and what marks fields that must arrive as they were sent.
OURS = b"x-t-"
LARGEST = 2**63


class Asked(NamedTuple):
    """One request: what a node must see of it.  *ours*: the fields X-T-…, in order; *whole*: its body ended."""

    method: bytes
    target: bytes
    host: bytes | None
    minor: int
    ours: tuple[tuple[bytes, bytes], ...]
    body: bytes
    whole: bool
    keep: bool
    upgrade: bool

    @property
    def do(self) -> str:
        """What the node does with it."""
        return next((value.decode("latin-1") for name, value in self.ours if name == b"x-t-do"), "plain")


class Stream(NamedTuple):
    """All that a client asked; *end*: why there is no more.

    end: "end", "partial" (more was to come), "fault" or "close" (it said so).
    tunnel: how many requests come before the tunnel that was asked for, itself included; *rest*: the bytes
    for it.  Where the tunnel is refused these are requests, and stand in *asked* as such.
    """

    asked: list[Asked]
    end: str
    tunnel: int = 0
    rest: bytes = b""


class Fault(Exception):
    """What follows means nothing."""


class Partial(Exception):
    """The bytes end before the message; *body* is what came of it."""

    def __init__(self, body: bytes = b"") -> None:
        super().__init__()
        self.body = body


def make_mark(method: bytes, target: bytes) -> bytes:
    """Return the words by which an answer names its request."""
    return b"<" + hashlib.sha1(method + b" " + target).hexdigest()[:16].encode() + b">"


def read_stream(data: bytes) -> Stream:
    """Return what *data*, all that a client sent on one connection, asks for."""
    asked: list[Asked] = []
    end, tunnel, rest = "", 0, b""
    while not end:
        one, data, end = _next(data)
        asked += [one] if one else []
        if one and one.upgrade and one.do == "switch" and not tunnel:
            tunnel, rest = len(asked), data
    return Stream(asked, end, tunnel, rest)


def _next(data: bytes) -> tuple[Asked | None, bytes, str]:
    """Return the next request if there is one, what follows, and why there is no other, "" if there may be."""
    if data[:2] == b"\r\n":
        data = data[2:]  # one empty line may come first, RFC 9112 §2.2
    if not data:
        return None, b"", "end"
    try:
        one, data = _request(data)
    except Fault:
        return None, b"", "fault"
    except Partial:
        return None, b"", "partial"
    if not one.whole:
        return one, b"", "partial" if one.keep else "fault"
    return one, data, "" if one.keep else "close"


def _request(data: bytes) -> tuple[Asked, bytes]:
    head, found, rest = data.partition(b"\r\n\r\n")
    if not found:
        raise Partial
    lines = head.split(b"\r\n")
    line = LINE.fullmatch(lines[0])
    if not line or line[1] == b"CONNECT":
        raise Fault
    method, minor = line[1], int(line[3])
    fields = _fields(lines[1:])
    target, host = _target(method, line[2], _host(fields, minor))
    options = {word.lower() for word in _words(fields, b"connection")}
    expected = [value.lower() for name, value in fields if name == b"expect"]
    if any(value != b"100-continue" for value in expected):
        raise Fault
    keep = b"close" not in options and (minor >= 1 or b"keep-alive" in options)
    length = _framing(fields, minor)
    upgrade = b"websocket" in [word.lower() for word in _words(fields, b"upgrade")] and b"upgrade" in options
    upgrade = upgrade and minor >= 1 and method == b"GET" and length == 0
    ours = tuple((name, value) for name, value in fields if name[:4] == OURS and name not in options)
    broken = False
    try:
        body, rest = _chunked(rest) if length is None else _counted(rest, length)
        whole = True
    except Partial as partial:
        body, rest, whole = partial.body, b"", False
    except Fault as fault:
        body, rest, whole, broken = fault.args[0], b"", False, True
    keep = keep and not broken
    return Asked(method, target, host, minor, ours, body, whole, keep, upgrade), rest


def _fields(lines: list[bytes]) -> list[tuple[bytes, bytes]]:
    found = [FIELD.fullmatch(line) for line in lines]
    if not all(found):
        raise Fault
    return [(one[1].lower(), one[2]) for one in found if one]


def _words(fields: list[tuple[bytes, bytes]], wanted: bytes) -> list[bytes]:
    """Return the elements of a list field, over all its lines; empty ones are none."""
    words = [word.strip(b" \t") for name, value in fields if name == wanted for word in value.split(b",")]
    return [word for word in words if word]


def _host(fields: list[tuple[bytes, bytes]], minor: int) -> bytes | None:
    hosts = [value for name, value in fields if name == b"host"]
    if len(hosts) > 1 or (minor >= 1 and not hosts):
        raise Fault
    if hosts and not AUTHORITY.fullmatch(hosts[0]):
        raise Fault
    return hosts[0] if hosts else None


def _target(method: bytes, target: bytes, host: bytes | None) -> tuple[bytes, bytes | None]:
    """Return the target in origin-form, and the host that it is asked of.  RFC 9112 §3.2."""
    if target[:1] == b"/" or (target == b"*" and method == b"OPTIONS"):
        return target, host
    absolute = ABSOLUTE.fullmatch(target)
    if not absolute or not AUTHORITY.fullmatch(absolute[1]):
        raise Fault
    path = absolute[2]
    if not path and method == b"OPTIONS":
        return b"*", absolute[1]
    return path if path[:1] == b"/" else b"/" + path, absolute[1]


def _framing(fields: list[tuple[bytes, bytes]], minor: int) -> int | None:
    """Return the length of the body, None if it is chunked.  RFC 9112 §6."""
    lengths = [value for name, value in fields if name == b"content-length"]
    codings = [value for name, value in fields if name == b"transfer-encoding"]
    if not codings:
        if not lengths:
            return 0
        if len(lengths) > 1 or not re.fullmatch(rb"[0-9]+", lengths[0]) or int(lengths[0]) >= LARGEST:
            raise Fault
        return int(lengths[0])
    words = [word.lower() for word in _words(fields, b"transfer-encoding")]
    if lengths or minor == 0 or words != [b"chunked"]:
        raise Fault
    return None


def _counted(data: bytes, length: int) -> tuple[bytes, bytes]:
    if len(data) < length:
        raise Partial(data)
    return data[:length], data[length:]


def _chunked(data: bytes) -> tuple[bytes, bytes]:
    """Return (content, what follows the trailers); what came of it is in what is raised.  RFC 9112 §7.1."""
    body = b""
    while True:
        line, found, data = data.partition(b"\r\n")
        if not found:
            raise Partial(body)
        chunk = CHUNK.fullmatch(line)
        if not chunk or int(chunk[1], 16) >= LARGEST:
            raise Fault(body)
        size = int(chunk[1], 16)
        if size == 0:
            break
        body += data[:size]
        if len(data) < size + 2 and data[size:] in (b"", b"\r"):
            raise Partial(body)
        if data[size : size + 2] != b"\r\n":
            raise Fault(body)
        data = data[size + 2 :]
    while True:
        line, found, data = data.partition(b"\r\n")
        if not found:
            raise Partial(body)
        if not line:
            return body, data
        if not FIELD.fullmatch(line):
            raise Fault(body)
