"""The node answers a request with one of the expected statuses and, if asked for, the expected body.

The answer is read no further than its head and the first `health_expect_bytes` of its body, decoded from
chunks; what does not follow RFC 9112 fails.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from wsgistack.balancer.checks import Talk
from wsgistack.balancer.expectation import parse_expectation
from wsgistack.balancer.model import HealthCheck
from wsgistack.settings import parse_statuses

__all__ = ["HELP", "NAME", "prepare"]

NAME = "http"
HELP = "it answers health_path with one of health_status and health_expect"

LONGEST_HEAD_BYTES = 16384
STATUS_LINE = re.compile(rb"HTTP/1\.[0-9] ([1-5][0-9]{2})(?: [^\r\n]*)?")
FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n]*)")
CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?")


@dataclass(frozen=True, slots=True)
class _Head:
    status: int
    length: int | None
    is_chunked: bool
    body_at: int


class _Garbage(Exception):
    """What came is not HTTP; str() says what it is."""


def prepare(check: HealthCheck) -> Talk:
    """Return the request and how to judge the answer."""
    method = check.text("health_method")
    host = check.text("health_host") or _host_of(check.node)
    lines = [f"{method} {check.text('health_path')} HTTP/1.1", f"Host: {host}"]
    lines += ["User-Agent: wsgistack", "Accept: */*", "Connection: close", "", ""]
    statuses = parse_statuses(check.text("health_status"))
    wanted = parse_expectation(check.text("health_expect"))
    most = int(check.number("health_expect_bytes"))

    def hear(data: bytes, ended: bool) -> str | None:
        try:
            head = _read_head(data)
            if head is None:
                return _unfinished(data, ended)
            if not any(low <= head.status <= high for low, high in statuses):
                return f"status {head.status}"
            if wanted is None:
                return ""
            body, is_whole = _read_body(data, head, most, has_none=method == "HEAD")
        except _Garbage as garbage:
            return str(garbage)
        if is_whole or ended or len(body) >= most:
            return wanted.judge(body, "body")
        return None

    # Twice, for the sizes of chunks: a node whose chunks are smaller than these is not well.
    return Talk(hear, "\r\n".join(lines).encode("latin-1"), LONGEST_HEAD_BYTES + 2 * most)


def _host_of(node: str) -> str:
    return "localhost" if node.startswith("unix:") else node


def _unfinished(data: bytes, ended: bool) -> str | None:
    if ended:
        return "no HTTP response" if data else "closed without an answer"
    return None


def _read_head(data: bytes) -> _Head | None:
    """Return the head of the final response, None if it is not all there yet.

    Interim responses before it count towards the limit of its length.
    """
    at = 0
    while True:
        line, line_end, _ = data[at:LONGEST_HEAD_BYTES].partition(b"\r\n")
        match = STATUS_LINE.fullmatch(line)
        if not (match if line_end else line.startswith(b"HTTP/1."[: len(line)])):
            raise _Garbage("no HTTP response")
        end = data.find(b"\r\n\r\n", at, LONGEST_HEAD_BYTES)
        if match is None or end < 0:
            if len(data) > LONGEST_HEAD_BYTES:
                raise _Garbage(f"a head of more than {LONGEST_HEAD_BYTES} bytes")
            return None
        status = int(match[1])
        if status >= 200:
            return _parse_fields(status, data[at + len(line) + 2 : end], end + 4)
        at = end + 4  # an interim response: the next one counts


def _parse_fields(status: int, block: bytes, body_at: int) -> _Head:
    fields: dict[bytes, bytes] = {}
    for line in block.split(b"\r\n") if block else []:
        match = FIELD.fullmatch(line)
        if match is None:
            raise _Garbage("a faulty field in the head")
        name = match[1].lower()
        fields[name] = match[2].strip(b" \t") if name not in fields else fields[name] + b"," + match[2]
    coding = fields.get(b"transfer-encoding")
    if coding is not None and coding.lower() != b"chunked":
        raise _Garbage("an unknown transfer coding")
    length = fields.get(b"content-length")
    if length is not None and (not re.fullmatch(rb"[0-9]{1,15}", length) or coding is not None):
        raise _Garbage("a faulty Content-Length")
    return _Head(status, None if length is None else int(length), coding is not None, body_at)


def _read_body(data: bytes, head: _Head, most: int, *, has_none: bool) -> tuple[bytes, bool]:
    """Return what is there of the body, at most *most* bytes, and whether it is whole."""
    if has_none or head.status in (204, 304):  # RFC 9112 §6.3
        return b"", True
    if head.is_chunked:
        return _read_chunks(data, head.body_at, most)
    if head.length is None:
        return data[head.body_at : head.body_at + most], False
    body = data[head.body_at : head.body_at + min(head.length, most)]
    return body, len(body) == head.length


def _read_chunks(data: bytes, at: int, most: int) -> tuple[bytes, bool]:
    body = bytearray()
    while len(body) < most:
        line, end, _ = data[at : at + 1024].partition(b"\r\n")
        if not end:
            if len(line) >= 1024:
                raise _Garbage("a faulty chunk")
            return bytes(body), False
        match = CHUNK_SIZE.fullmatch(line)
        if match is None:
            raise _Garbage("a faulty chunk")
        size, at = int(match[1], 16), at + len(line) + 2
        if size == 0:
            return bytes(body), True
        body += data[at : at + size]
        if len(data) < at + size + 2:
            break
        if data[at + size : at + size + 2] != b"\r\n":
            raise _Garbage("a faulty chunk")
        at += size + 2
    return bytes(body[:most]), False
