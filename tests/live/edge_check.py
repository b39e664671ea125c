"""What must hold of a round of the edge's fuzzer: of the answers of each client, and of what the node saw."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import Any, NamedTuple

from tests.live.edge_fuzz import Plan
from tests.live.edge_model import TOKEN, Asked, Stream, make_mark, read_stream

__all__ = ["Got", "check_answers", "check_node", "read_answers"]

LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9][0-9]) [\t\x20-\x7e\x80-\xff]*")
FIELD = re.compile(rb"(%s):[ \t]*([\t\x20-\x7e\x80-\xff]*)" % TOKEN)
SIZE = re.compile(rb"[0-9a-f]+")
# These may come twice to a node: they are sent again when a connection broke.  RFC 9110 §9.2.2.
IDEMPOTENT = {b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"TRACE"}
# Nothing that these say may look whole and sound; and these must come as they are.
BROKEN = {"short", "short, reset", "no last chunk", "bad chunk", "bad chunk end", "two lengths", "length list", "signed",
          "old chunked", "folded", "no status", "many hints", "endless", "unasked 101", "half a head", "nothing",
          "reset", "hang", "half, hang", "die", "half, die"}  # fmt: skip
STATUS = {"empty": 204, "204 body": 204, "same": 304, "304 body": 304}


class Got(NamedTuple):
    """One final answer; *whole*: its end was seen; *ends*: no other may follow."""

    status: int
    fields: dict[bytes, bytes]
    body: bytes
    whole: bool
    ends: bool


def read_answers(data: bytes, stream: Stream) -> tuple[list[Got], bytes]:
    """Return the final answers in *data*, strictly read, and the bytes of a tunnel behind them."""
    found: list[Got] = []
    while data:
        asked = stream.asked[len(found)] if len(found) < len(stream.asked) else None
        head, end, rest = data.partition(b"\r\n\r\n")
        if not end:
            assert _is_cut_head(data), f"no head: {data[:200]!r}"
            break
        status, fields = _head(head)
        if status == 101:
            assert asked is not None, "101 for nobody"
            assert asked.upgrade, "101 for whom asked for none"
            assert len(found) + 1 == stream.tunnel, "101 from nobody"
            assert fields.get(b"x-mark") == make_mark(asked.method, asked.target)
            return found, rest
        if status < 200:
            assert asked is None or asked.minor, "an interim answer to HTTP/1.0"
            data = rest
            continue
        got, data = _final(asked, status, fields, rest)
        found.append(got)
        assert not data or got.whole, "more than an answer that was cut"
        assert not data or not got.ends, f"an answer after the last one: {data[:200]!r}"
    return found, b""


def _is_cut_head(data: bytes) -> bool:
    """Tell whether a node's answer that ended in its head could have begun so: it never does, nor may it."""
    return not data


def _head(head: bytes) -> tuple[int, dict[bytes, bytes]]:
    lines = head.split(b"\r\n")
    line, fields = LINE.fullmatch(lines[0]), [FIELD.fullmatch(one) for one in lines[1:]]
    assert line, f"no status line: {lines[0]!r}"
    assert all(fields), f"no field: {head!r}"
    pairs = [(one[1].lower(), one[2]) for one in fields if one]
    names = [name for name, _ in pairs]
    for name in (b"content-length", b"transfer-encoding", b"connection", b"date"):
        assert names.count(name) <= 1, f"{name!r} twice in {head!r}"
    assert not {b"content-length", b"transfer-encoding"} <= set(names), f"framed twice: {head!r}"
    return int(line[1]), dict(pairs)


def _final(asked: Asked | None, status: int, fields: dict[bytes, bytes], data: bytes) -> tuple[Got, bytes]:
    ends = fields.get(b"connection", b"").lower() == b"close"
    method = asked.method if asked else b""
    assert status != 204 or b"content-length" not in fields, "204 with a length"
    if method == b"HEAD" or status in (204, 304):
        return Got(status, fields, b"", True, ends), data
    if b"transfer-encoding" in fields:
        assert fields[b"transfer-encoding"] == b"chunked", fields
        assert asked is None or asked.minor, "chunks for HTTP/1.0"
        body, whole, data = _chunks(data)
        return Got(status, fields, body, whole, ends or not whole), data
    if b"content-length" in fields:
        length = int(fields[b"content-length"])
        if asked is None and ends and not data:
            length = 0  # the method of what was refused is not known: it may have been HEAD
        return Got(status, fields, data[:length], len(data) >= length, ends), data[length:]
    assert asked is not None, "ended by nothing, asked by nobody"
    assert not asked.minor, f"ended by nothing: {fields!r}"
    return Got(status, fields, data, True, True), b""


def _chunks(data: bytes) -> tuple[bytes, bool, bytes]:
    body = b""
    while True:
        line, found, data = data.partition(b"\r\n")
        if not found:
            assert re.fullmatch(rb"[0-9a-f]*\r?", line), f"chunk size {line!r}"
            return body, False, b""
        assert SIZE.fullmatch(line), f"chunk size {line!r}"
        size = int(line, 16)
        if size == 0:
            break
        body += data[:size]
        if len(data) < size + 2:
            return body, False, b""
        assert data[size : size + 2] == b"\r\n", f"after a chunk: {data[size : size + 9]!r}"
        data = data[size + 2 :]
    while True:
        line, found, data = data.partition(b"\r\n")
        if not found:
            return body, False, b""
        if not line:
            return body, True, data
        assert FIELD.fullmatch(line), f"trailer {line!r}"
        assert not re.match(rb"(?i)content-length:|host:|.*_", line), f"trailer {line!r}"


def check_answers(plan: Plan, data: bytes) -> list[Got]:
    """Check all that came back on one connection: well formed, in order, nobody else's, nothing invented."""
    stream = read_stream(plan.data)
    assert b"poison" not in data, "bytes beyond a node's answer"
    found, tunnel = read_answers(data, stream)
    assert stream.rest.startswith(tunnel), "a tunnel changed what it carried"
    most = len(stream.asked) + (stream.end in ("fault", "partial"))
    assert len(found) <= most, f"{len(found)} answers, {len(stream.asked)} requests, {stream.end}"
    for number, got in enumerate(found):
        asked = stream.asked[number] if number < len(stream.asked) else None
        mark = got.fields.get(b"x-mark")
        assert mark is None or asked is not None, "a node's answer to what nobody asked for"
        if mark is not None and asked is not None and asked.do != "mutated":
            assert mark == make_mark(asked.method, asked.target), (
                f"the answer to another request than {asked}"
            )
        if asked is None or not asked.whole:
            assert mark is not None or got.status >= 400, f"{got.status} to half a request"
        elif asked.do in BROKEN and asked.minor and asked.method != b"HEAD":
            assert got.status >= 500 or got.status in (400, 408) or not got.whole, f"{asked.do}: {got}"
    if plan.sound:
        _check_sound(stream, found)
    return found


def _check_sound(stream: Stream, found: list[Got]) -> None:
    assert stream.end in ("end", "close"), stream
    assert len(found) == len(stream.asked), f"{len(found)} answers to {len(stream.asked)} requests"
    for asked, got in zip(stream.asked, found, strict=True):
        assert got.status == STATUS.get(asked.do, 200), f"{got} to {asked}"
        assert got.whole, f"cut: {got} to {asked}"
        assert got.fields.get(b"x-mark"), f"{got} to {asked}"
        if asked.method != b"HEAD" and got.status == 200:
            assert got.body == b"helloworld" * (40000 if asked.do == "big" else 1), f"{got} to {asked}"


def check_node(plans: list[Plan], log: list[dict[str, Any]]) -> int:
    """Check that the node saw what the clients asked for and nothing else; return how many requests it saw."""
    wanted: dict[tuple[bytes, bytes, Any], list[Asked]] = defaultdict(list)
    tunnels: dict[bytes, bytes] = {}
    opened = {entry["target"].encode("latin-1") for entry in log if "tunnel" in entry}
    for plan in plans:
        stream = read_stream(plan.data)
        requests = stream.asked
        if stream.tunnel and requests[stream.tunnel - 1].target in opened:
            tunnels[requests[stream.tunnel - 1].target] = stream.rest
            requests = requests[: stream.tunnel]
        for asked in requests:
            wanted[asked.method, asked.target, asked.ours].append(asked)
    times: Counter[Any] = Counter()
    for entry in log:
        assert "fault" not in entry, f"the node cannot read what it got: {entry['fault']}"
        target = entry["target"].encode("latin-1")
        if "tunnel" in entry:
            assert tunnels[target].startswith(entry["tunnel"].encode("latin-1")), (
                f"changed in a tunnel: {entry}"
            )
            continue
        key = (entry["method"].encode("latin-1"), target, _ours(entry))
        assert key in wanted, f"nobody asked for {entry}"
        assert any(_fits(asked, entry) for asked in wanted[key]), f"{entry} instead of {wanted[key]}"
        times[key] += 1
    for key, count in times.items():
        assert key[0] in IDEMPOTENT or count <= len(wanted[key]), f"{count} times {key}"
    return times.total()


def _ours(entry: dict[str, Any]) -> tuple[tuple[bytes, bytes], ...]:
    return tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in entry["ours"])


def _fits(asked: Asked, entry: dict[str, Any]) -> bool:
    body = entry["body"].encode("latin-1")
    if asked.host is not None and asked.host != entry["host"].encode("latin-1"):
        return False
    return asked.whole and body == asked.body if entry["whole"] else asked.body.startswith(body)
