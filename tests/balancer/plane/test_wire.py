"""The whole wire under random bytes: splits, round trips, two oracles, a seeded fuzz.

Whatever we accept, h11 and llhttp (httptools) must accept with the same meaning; where they
are stricter without need, or laxer, is said at `not_for_h11` and `not_for_llhttp`.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import pairwise
from typing import Any

import h11
import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgistack.balancer.plane.wire import (
    WireFault,
    decode_chunked,
    parse_request,
    parse_request_pieces,
    parse_response,
    parse_response_pieces,
    rewrite_request,
    rewrite_response,
)
from wsgistack.http.identity import NAMES

Meaning = tuple[Any, ...]

REQUESTS = [
    b"GET /index.html?x=1 HTTP/1.1\r\nHost: www.example.com\r\nAccept: */*\r\nConnection: keep-alive\r\n\r\n",
    b"POST /a HTTP/1.1\r\nHost: [::1]:8080\r\nContent-Length: 5\r\nExpect: 100-continue\r\nX-A:\t b \r\n\r\n",
    b"PUT /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\nTrailer: X\r\nTE: trailers\r\n\r\n",
    b"GET http://b:81/x HTTP/1.1\r\nhost: a\r\nConnection: X-A, Upgrade\r\nUpgrade: websocket\r\nX-A: 1\r\n\r\n",
    b"\r\nOPTIONS * HTTP/1.0\r\nX_Y: 1\r\nVia: 1.1 x\r\nX-Forwarded-For: 1.1.1.1\r\nForwarded: for=x\r\n\r\n",
]
RESPONSES = [
    b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 13\r\n\r\n",
    b"HTTP/1.0 404 Not Found\r\nConnection: keep-alive, X-A\r\nX-A: b\r\nSet-Cookie: a=b\r\nSet-Cookie: c\r\n\r\n",
    b"HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\nTrailer: X\r\nVary:\t a \r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
]
TRAILERS = [b"\r\n", b"A: b\r\nContent-Length: 5\r\nC:\td \r\n\r\n"]
BODIES = [b'5;a="b\\"";c\r\nhello\r\n00A\r\n0123456789\r\n0\r\n', b"1\r\nx\r\n1 ; a = b;c\r\ny\r\n0;z\r\n"]
# What attacks are made of: CVEs of requests and of bodies, smuggler lists, bytes at the edges of classes.
WORDS = [
    *(bytes([byte]) for byte in b'\x00\t\n\x0b\r\x1f !"#%()*+,-./09:;=@AZ[]_az|\x7f\x80\x85\xa0\xff'),
    *(
        b"\r\n",
        b"\r\n\r\n",
        b"\n\n",
        b"\r\n ",
        b"\r\n\t",
        b"\r\r\n",
        b" :",
        b": ",
        b"chunked",
        b", chunked",
        b"xchunked",
    ),
    *(
        b"identity",
        b"Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"Content-Length: 5\r\n",
    ),
    *(
        b"Content-Length: +5\r\n",
        b"Content_Length: 5\r\n",
        b"Host: b\r\n",
        b"Host:\r\n",
        b": x\r\n",
        b"Connection: close\r\n",
    ),
    *(
        b"Connection: host, content-length, x-a\r\n",
        b"http://",
        b"https://u@",
        b"HTTP/1.0",
        b"HTTP/1.1",
        b"HTTP/2.0",
        b"0x5",
    ),
    *(
        b"99999999999999999999",
        b"9223372036854775807",
        b"fffffffffffffff0",
        b"0\r\n\r\n",
        b"GET /x HTTP/1.1\r\n",
        b"%0d%0a",
    ),
]


def outcome(parse: Callable[[Any], Any], argument: Any) -> Any:
    """What came of it: the head, None, or the fault's name."""
    try:
        return parse(argument)
    except WireFault as fault:
        return fault.name


def pieces_of(data: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in pairwise(places)]


def stays(
    fields: list[tuple[bytes, bytes, bool]], *, without: tuple[bytes, ...]
) -> list[tuple[bytes, bytes]]:
    return [
        (name, value)
        for name, value, drop in fields
        if not drop and name.lower() not in without and not name.lower().startswith(b"x-forwarded")
    ]


# The oracles ------------------------------------------------------------------------------


def not_for_h11(data: bytes, head: Any) -> bool:
    # It takes no empty line before a request, no Content-Length beyond 20 digits, and no coding but chunked.
    fields = {name.lower(): value for name, value, _ in head["fields"]}
    other_coding = b"transfer-encoding" in fields and not head["chunked"]
    return data.startswith(b"\r\n") or len(fields.get(b"content-length", b"")) > 20 or other_coding


def as_h11_tells(fields: Iterable[tuple[Any, ...]]) -> list[tuple[bytes, bytes]]:
    # It writes `Chunked` small.
    return [
        (name, value.lower() if name.lower() == b"transfer-encoding" else value) for name, value, *_ in fields
    ]


def by_h11(data: bytes) -> Meaning:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(data)
    event = connection.next_event()
    assert isinstance(event, h11.Request)
    fields = [(bytes(name), bytes(value)) for name, value in event.headers.raw_items()]
    names = {name.lower(): value for name, value in fields}
    chunked = names.get(b"transfer-encoding", b"").lower() == b"chunked"
    length = int(names[b"content-length"]) if b"content-length" in names else None
    return event.method, event.target, event.http_version[-1:], fields, chunked, length


def not_for_llhttp(data: bytes, head: Any) -> bool:
    # It knows a list of methods, HTTP/1.0 and 1.1, and takes no tab after `chunked`.
    known = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH")
    return head["method_id"] not in known or head["minor"] > 1 or (head["chunked"] and b"\t\r\n" in data)


class ByLlhttp:
    """Gathers what the C parser of Node.js reads."""

    def __init__(self) -> None:
        self.target = b""
        self.fields: list[tuple[bytes, bytes]] = []

    def on_url(self, part: bytes) -> None:
        self.target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value.strip(b" \t")))


def by_llhttp(data: bytes) -> tuple[bytes, bytes, list[tuple[bytes, bytes]]]:
    seen = ByLlhttp()
    parser = httptools.HttpRequestParser(seen)
    with suppress(httptools.HttpParserUpgrade):
        parser.feed_data(data)
    return parser.get_method(), seen.target, seen.fields


def agree_on_request(data: bytes, head: Any) -> None:
    data = data[: head["size"]]
    fields = [(name, value) for name, value, _ in head["fields"]]
    start = 2 if data.startswith(b"\r\n") else 0
    target = data[start:].split(b" ")[1]
    if not not_for_h11(data, head):
        minor = str(head["minor"]).encode()
        ours = (head["method"], target, minor, as_h11_tells(fields), head["chunked"], head["content_length"])
        assert by_h11(data) == ours
    if not not_for_llhttp(data, head):
        assert by_llhttp(data) == (head["method"], target, fields)


def agree_on_response(data: bytes, head: Any) -> None:
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    connection.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
    connection.receive_data(data[: head["size"]])
    event = connection.next_event()
    assert isinstance(event, h11.Response | h11.InformationalResponse)
    assert (event.status_code, bytes(event.reason)) == (head["status"], head["reason"])
    assert [(bytes(a), bytes(b)) for a, b in event.headers.raw_items()] == as_h11_tells(head["fields"])


# Round trips ------------------------------------------------------------------------------

OURS = (
    b"host",
    b"content-length",
    b"expect",
    b"trailer",
    b"via",
    b"transfer-encoding",
    b"connection",
    b"upgrade",
    b"forwarded",
    *(name.encode() for name in NAMES),
)


def request_survives(data: bytes, head: Any) -> None:
    written = rewrite_request(data)
    again = parse_request(written)
    assert again["size"] == len(written)
    assert again["host"] == (head["host"] or b"www.example")  # 1.0 may name none, RFC 9112 3.3
    for key in ("method", "target", "chunked", "content_length", "upgrade_websocket"):
        assert again[key] == head[key]
    assert stays(again["fields"], without=OURS) == stays(head["fields"], without=OURS)
    if not head["host"]:
        return
    # Written again it gains a Via and nothing else; a Via that was ours before stands among the fields now.
    twice = sorted([*written.split(b"\r\n"), b"Via: 1.1 wsgistack"])
    assert sorted(rewrite_request(written).split(b"\r\n")) == twice
    agree_on_request(written, again)


def response_survives(data: bytes, head: Any) -> None:
    written = rewrite_response(data)
    again = parse_response(written)
    assert again["size"] == len(written)
    for key in ("status", "reason", "chunked", "content_length"):
        assert again[key] == head[key]
    assert stays(again["fields"], without=OURS) == stays(head["fields"], without=OURS)
    assert rewrite_response(written) == written


# The properties ---------------------------------------------------------------------------

ends = st.sampled_from(WORDS)
noise = st.lists(st.one_of(ends, st.binary(max_size=6)), max_size=8).map(b"".join)
cuts = st.lists(st.integers(0, 400), max_size=12)


@given(st.sampled_from(REQUESTS), st.integers(0, 200), st.integers(0, 20), noise, cuts)
def test_a_request_means_the_same_however_it_is_cut(
    one: bytes, at: int, cut: int, dirt: bytes, where: list[int]
) -> None:
    data = one[:at] + dirt + one[at + cut :] + b"\r\n\r\n"

    assert outcome(parse_request_pieces, pieces_of(data, where)) == outcome(parse_request, data)


@given(st.sampled_from(RESPONSES), st.integers(0, 120), st.integers(0, 20), noise, cuts)
def test_a_response_means_the_same_however_it_is_cut(
    one: bytes, at: int, cut: int, dirt: bytes, where: list[int]
) -> None:
    data = one[:at] + dirt + one[at + cut :] + b"\r\n\r\n"

    assert outcome(parse_response_pieces, pieces_of(data, where)) == outcome(parse_response, data)


@given(st.sampled_from(BODIES), st.integers(0, 60), st.integers(0, 5), noise, cuts)
def test_a_body_means_the_same_however_it_is_cut(
    one: bytes, at: int, cut: int, dirt: bytes, where: list[int]
) -> None:
    data = one[:at] + dirt + one[at + cut :]

    assert outcome(decode_chunked, pieces_of(data, where)) == outcome(decode_chunked, [data])


@pytest.mark.parametrize("data", REQUESTS + RESPONSES)
def test_a_head_means_the_same_byte_by_byte(data: bytes) -> None:
    whole, piecewise = (
        (parse_response, parse_response_pieces)
        if data[:5] == b"HTTP/"
        else (parse_request, parse_request_pieces)
    )

    assert piecewise(data[i : i + 1] for i in range(len(data))) == whole(data)


@pytest.mark.parametrize("limits", [{"max_bytes": 60}, {"max_target": 10}, {"max_fields": 2}])
@pytest.mark.parametrize("data", REQUESTS)
def test_limits_say_the_same_byte_by_byte(data: bytes, limits: dict[str, int]) -> None:
    whole = outcome(lambda one: parse_request(one, **limits), data)

    assert (
        outcome(lambda one: parse_request_pieces(one, **limits), pieces_of(data, list(range(len(data)))))
        == whole
    )


names = st.text("abcXYZ09-!#$%&'*+.^`|~", min_size=1, max_size=20).map(str.encode)
values = st.binary(max_size=40).map(
    lambda raw: bytes(c for c in raw if c == 9 or (c >= 32 and c != 127)).strip(b" \t")
)
targets = st.text('/?&=%.~!abc019;:@"<>{}|^`\\', max_size=40).map(lambda text: b"/" + text.encode())


@given(names, targets, st.lists(st.tuples(names, values), max_size=12))
def test_any_valid_request_is_accepted_and_survives(
    method: bytes, target: bytes, fields: list[tuple[bytes, bytes]]
) -> None:
    lines = b"".join(name + b": " + value + b"\r\n" for name, value in fields)
    data = method + b" " + target + b" HTTP/1.1\r\nHost: a\r\n" + lines + b"\r\n"

    head = parse_request(data)

    assert [(name, value) for name, value, _ in head["fields"][1:]] == fields
    agree_on_request(data, head)
    request_survives(data, head)
