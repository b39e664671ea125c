"""Connection and what it names.  RFC 9110 7.6.1."""

from time import process_time

import pytest

from wsgistack.balancer.plane.wire import parse_request, parse_response

START = b"GET / HTTP/1.1\r\nHost: a\r\n"


def dropped(head: bytes) -> list[bytes]:
    return [name for name, _, drop in parse_request(head)["fields"] if drop]


@pytest.mark.parametrize(
    ("lines", "names"),
    [
        (b"Connection: X-A\r\nX-A: 1\r\nX-B: 2\r\n", [b"Connection", b"X-A"]),
        (b"X-A: 1\r\nConnection: x-a\r\nx-A: 2\r\n", [b"X-A", b"Connection", b"x-A"]),
        (b"Connection: X-A, \tX-B ,, X-C\r\nX-C: 1\r\nX-B: 2\r\n", [b"Connection", b"X-C", b"X-B"]),
        (
            b"Connection: X-A\r\nConnection: X-B\r\nX-A: 1\r\nX-B: 2\r\n",
            [b"Connection", b"Connection", b"X-A", b"X-B"],
        ),
        (b"Connection: close, X-A, X-A\r\nX-A: 1\r\nX-A: 2\r\n", [b"Connection", b"X-A", b"X-A"]),
        (
            b"Connection: cookie, authorization\r\nCookie: a\r\nAuthorization: b\r\n",
            [b"Connection", b"Cookie", b"Authorization"],
        ),
        (b"Connection: trailer\r\nTrailer: b\r\n", [b"Connection", b"Trailer"]),
        (b"Connection: X-AA\r\nX-A: 1\r\nX-AAA: 2\r\n", [b"Connection"]),
        (b"Connection: ^A\r\n~A: 1\r\n^A: 2\r\n", [b"Connection", b"^A"]),
        (b"Connection:\r\nX-A: 1\r\n", [b"Connection"]),
        (b'Connection: \xff, X A, "X-A"\r\nX-A: 1\r\n', [b"Connection"]),
    ],
)
def test_the_fields_that_connection_names_are_marked(lines: bytes, names: list[bytes]) -> None:  # 24
    assert dropped(START + lines + b"\r\n") == names


@pytest.mark.parametrize(
    "name",
    [
        b"Host",
        b"Content-Length",
        b"Via",
        b"Forwarded",
        b"X-Forwarded-For",
        b"X-Forwarded-Host",
        b"X-Forwarded-Proto",
        b"X-Forwarded-Port",
    ],
)
def test_framing_host_and_identity_survive_being_named(name: bytes) -> None:  # 24
    line = b"" if name == b"Host" else name + b": 5\r\n"
    head = parse_request(START + line + b"Connection: close, " + name + b"\r\n\r\n")

    assert [one for one, _, drop in head["fields"] if drop] == [b"Connection"]
    assert head["host"] == b"a"


def test_chunked_survives_being_named() -> None:
    head = parse_request(START + b"Transfer-Encoding: chunked\r\nConnection: transfer-encoding\r\n\r\n")

    assert head["chunked"]


def test_a_response_names_fields_too() -> None:
    head = parse_response(
        b"HTTP/1.1 200 OK\r\nX_A: 1\r\nX-B: 2\r\nProxy: 3\r\nConnection: x_a, proxy\r\n\r\n"
    )

    assert [name for name, _, drop in head["fields"] if drop] == [b"X_A", b"Proxy", b"Connection"]


@pytest.mark.parametrize(
    ("names", "options"),
    [
        ([b"n%d" % i for i in range(1000)], [b"m%d" % i for i in range(60_000)]),
        ([b"n"] * 1000, [b"n"] * 200_000),
        ([b"n%d" % i for i in range(1000)], [b"n%d" % (i % 1000) for i in range(60_000)]),
    ],
    ids=["strangers", "one name", "all names"],
)
def test_a_long_connection_and_many_fields_cost_their_sum(
    names: list[bytes], options: list[bytes]
) -> None:  # 47
    fields = b"".join(name + b": v\r\n" for name in names)
    head = START + fields + b"Connection: " + b",".join(options) + b"\r\n\r\n"

    began = process_time()
    parse_request(head, max_fields=1024, max_bytes=1 << 20)

    assert process_time() - began < 0.2  # about 5 ms; their product would take seconds
