"""Heads as the other side gets them, byte by byte."""

from typing import Any

import pytest

from wsgistack.balancer.plane.wire import rewrite_request, rewrite_response

# What an untrusted client at 192.0.2.1 gets added when its Host is `a`.
IDENTITY = (
    b"X-Forwarded-For: 192.0.2.1\r\n"
    b"X-Forwarded-Proto: http\r\n"
    b"X-Forwarded-Host: a\r\n"
    b"Forwarded: for=192.0.2.1;host=a;proto=http\r\n"
    b"Via: 1.1 wsgistack\r\n"
)
NODE = b"GET / HTTP/1.1\r\nHost: a\r\n"


def request(*lines: bytes) -> bytes:
    return NODE + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def passed(*lines: bytes) -> bytes:
    return NODE + b"".join(line + b"\r\n" for line in lines) + IDENTITY + b"\r\n"


@pytest.mark.parametrize(
    ("came", "goes"),
    [
        pytest.param(request(), passed(), id="nothing but Host"),
        pytest.param(
            request(b"B: 1", b"a: 2", b"B: 3"), passed(b"B: 1", b"a: 2", b"B: 3"), id="order and case"
        ),
        pytest.param(
            request(b"A:", b"B: ", b"C:\t ", b"D: x"), passed(b"A:", b"B: ", b"C: ", b"D: x"), id="empty"
        ),
        pytest.param(
            request(b"A:b", b"B: \t c  ", b"C: d e"), passed(b"A:b", b"B: c", b"C: d e"), id="blanks around"
        ),
        pytest.param(request(b"A: \xe9\xff\x80"), passed(b"A: \xe9\xff\x80"), id="8 bits"),
        pytest.param(request(b"X_A: 1", b"Proxy: 2", b"B: 3"), passed(b"B: 3"), id="underscore and proxy"),
        pytest.param(
            request(
                b"Connection: keep-alive, X-A",
                b"Keep-Alive: 5",
                b"TE: trailers",
                b"X-A: 1",
                b"B: 2",
                b"Trailer: C",
            ).replace(b"B: 2", b"Proxy-Connection: close\r\nUpgrade: h2c\r\nB: 2"),
            passed(b"B: 2"),
            id="hop by hop",
        ),
        pytest.param(request(b"Expect: 100-continue"), passed(), id="Expect is answered here"),
        pytest.param(
            request(b"Via: 1.0 x", b"B: 1", b"Via: 1.1 y"),
            passed(b"Via: 1.0 x", b"B: 1", b"Via: 1.1 y"),
            id="Via",
        ),
        pytest.param(
            request(
                b"X-Forwarded-For: 1.1.1.1",
                b"x-forwarded-for: 2.2.2.2",
                b"X-Forwarded-Host: evil",
                b"X-Forwarded-Proto: https",
                b"X-Forwarded-Port: 1",
                b"Forwarded: for=evil",
                b"B: 1",
            ),
            passed(b"B: 1"),
            id="identity from an untrusted client",
        ),
    ],
)  # 11 23 24 25 26 27 31
def test_fields_that_stay_keep_order_case_and_value(came: bytes, goes: bytes) -> None:
    assert rewrite_request(came) == goes


@pytest.mark.parametrize(
    ("line", "goes"),
    [
        (b"GET /a?b=%0d%0a&c HTTP/1.1", b"GET /a?b=%0d%0a&c HTTP/1.1"),
        (b"get //../x HTTP/1.1", b"get //../x HTTP/1.1"),
        (b"\r\nOPTIONS * HTTP/1.1", b"OPTIONS * HTTP/1.1"),
        (b"GET http://a HTTP/1.1", b"GET / HTTP/1.1"),
        (b"GET http://a?b HTTP/1.1", b"GET /?b HTTP/1.1"),
        (b"GET HTTPS://a/b HTTP/1.1", b"GET /b HTTP/1.1"),
        (b"OPTIONS http://a HTTP/1.1", b"OPTIONS * HTTP/1.1"),
        (b"GET / HTTP/1.7", b"GET / HTTP/1.1"),
    ],
)  # 18 19 20 21
def test_the_request_line_is_ours(line: bytes, goes: bytes) -> None:
    assert rewrite_request(line + b"\r\nHost: a\r\n\r\n").split(b"\r\n")[0] == goes


@pytest.mark.parametrize(
    ("head", "host", "forwarded"),
    [
        (b"GET http://b:8/ HTTP/1.1\r\nHost: a\r\n\r\n", b"b:8", b'for=192.0.2.1;host="b:8";proto=http'),
        (b"GET / HTTP/1.1\r\nHost: [::1]:8\r\n\r\n", b"[::1]:8", b'for=192.0.2.1;host="[::1]:8";proto=http'),
        (b"GET / HTTP/1.1\r\nA: b\r\nhOsT:\tb.c\r\n\r\n", b"b.c", b"for=192.0.2.1;host=b.c;proto=http"),
        (
            b"GET / HTTP/1.1\r\nHost: a(b;c=d,\r\n\r\n",
            b"a(b;c=d,",
            b'for=192.0.2.1;host="a(b;c=d,";proto=http',
        ),
    ],
)
def test_the_authority_of_the_target_stands_for_host(
    head: bytes, host: bytes, forwarded: bytes
) -> None:  # 18 26
    lines = rewrite_request(head).split(b"\r\n")

    assert lines[1] == b"Host: " + host
    assert [line for line in lines if line.lower().startswith(b"host:")] == [b"Host: " + host]
    assert b"X-Forwarded-Host: " + host in lines
    assert b"Forwarded: " + forwarded in lines


def test_a_1_0_request_without_host_goes_on_with_the_address_of_the_service() -> None:
    assert rewrite_request(b"GET / HTTP/1.0\r\n\r\n", authority=b"127.0.0.1:8080") == (
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\n"
        b"Forwarded: for=192.0.2.1;proto=http\r\nVia: 1.0 wsgistack\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("lines", "options", "goes"),
    [
        pytest.param(
            [b"X-Forwarded-For: 1.1.1.1", b"A: b", b"x-forwarded-FOR: 2.2.2.2, 3.3.3.3", b"X-Forwarded-For:"],
            {"trusted": True},
            b"A: b\r\nX-Forwarded-For: 1.1.1.1, 2.2.2.2, 3.3.3.3, 192.0.2.1\r\nX-Forwarded-Proto: http\r\n"
            b"X-Forwarded-Host: a\r\nVia: 1.1 wsgistack\r\n",
            id="trusted, all lines joined, no Forwarded where none came",
        ),
        pytest.param(
            [
                b"X-Forwarded-Proto: https",
                b"X-Forwarded-Host: h",
                b"X-Forwarded-Port: 443",
                b"Forwarded: for=x",
                b"A: b",
            ],
            {"trusted": True},
            b"X-Forwarded-Proto: https\r\nX-Forwarded-Host: h\r\nX-Forwarded-Port: 443\r\nA: b\r\n"
            b"X-Forwarded-For: 192.0.2.1\r\nForwarded: for=x, for=192.0.2.1;host=a;proto=http\r\nVia: 1.1 wsgistack\r\n",
            id="trusted, what came is kept",
        ),
        pytest.param([], {"trusted": True}, IDENTITY, id="trusted, nothing came"),
        pytest.param(
            [b"X-Forwarded-For: 1.1.1.1", b"Forwarded: for=x", b"X-Forwarded-Port: 1"],
            {"trusted": True, "blind": True},
            b"X-Forwarded-For: 1.1.1.1\r\nForwarded: for=x\r\nX-Forwarded-Port: 1\r\nVia: 1.1 wsgistack\r\n",
            id="blind",
        ),
        pytest.param(
            [],
            {"peer": b"2001:db8::1", "peer_is_v6": True, "https": True},
            b"X-Forwarded-For: 2001:db8::1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: a\r\n"
            b'Forwarded: for="[2001:db8::1]";host=a;proto=https\r\nVia: 1.1 wsgistack\r\n',
            id="IPv6 and https",
        ),
        pytest.param(
            [],
            {"peer": b"unknown"},
            b"X-Forwarded-For: unknown\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n"
            b"Forwarded: for=unknown;host=a;proto=http\r\nVia: 1.1 wsgistack\r\n",
            id="Unix socket",
        ),
    ],
)
def test_the_client_is_named(lines: list[bytes], options: dict[str, Any], goes: bytes) -> None:  # 26
    assert rewrite_request(request(*lines), **options) == NODE + goes + b"\r\n"


@pytest.mark.parametrize(
    "name", [b"X-Forwarded-For", b"Forwarded", b"X-Forwarded-Host", b"X-Forwarded-Proto"]
)
def test_identity_can_not_be_taken_off_by_naming_it(name: bytes) -> None:  # 24
    head = request(name + b": x", b"Connection: close, " + name)

    assert name + b": x" in rewrite_request(head, trusted=True)
    assert rewrite_request(head) == passed()


@pytest.mark.parametrize(
    ("lines", "options", "end"),
    [
        ([], {}, b""),
        ([b"Content-Length: 007"], {}, b"Content-Length: 7\r\n"),
        ([b"Content-Length: 9223372036854775807"], {}, b"Content-Length: 9223372036854775807\r\n"),
        ([b"Content-Length: 0"], {}, b"Content-Length: 0\r\n"),
        ([b"Content-Length: 0"], {"framing": "none"}, b""),
        ([b"Content-Length: 5", b"Connection: content-length"], {}, b"Content-Length: 5\r\n"),
        ([b"Transfer-Encoding: CHUNKED"], {}, b"Transfer-Encoding: chunked\r\n"),
        ([b"Transfer-Encoding: chunked"], {"framing": "length", "length": 3}, b"Content-Length: 3\r\n"),
        ([], {"keep_alive": False}, b"Connection: close\r\n"),
        ([b"Content-Length: 1"], {"keep_alive": False}, b"Content-Length: 1\r\nConnection: close\r\n"),
        (
            [b"Connection: upgrade", b"Upgrade: WebSocket, h2c"],
            {},
            b"Connection: Upgrade\r\nUpgrade: websocket\r\n",
        ),
        ([b"Connection: upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: x"], {}, b""),
        (
            [],
            {"insert": b"X-I: 1\r\nX-J: 2\r\n", "framing": "length"},
            b"X-I: 1\r\nX-J: 2\r\nContent-Length: 0\r\n",
        ),
    ],
)
def test_framing_and_connection_are_ours(
    lines: list[bytes], options: dict[str, Any], end: bytes
) -> None:  # 11 24 28
    assert rewrite_request(request(*lines), **options) == NODE + IDENTITY + end + b"\r\n"


def test_trailer_goes_on_with_a_chunked_body_only() -> None:  # 24
    head = request(b"Trailer: A", b"Transfer-Encoding: chunked")

    assert b"Trailer: A\r\n" in rewrite_request(head)
    assert b"Trailer" not in rewrite_request(head, framing="length", length=1)


@pytest.mark.parametrize(
    ("remove", "left"),
    [
        (b"b\n", [b"A: 1", b"BB: 3", b"X-Long: 4"]),
        (b"x-long\na\n", [b"B: 2", b"BB: 3"]),
        (b"c\nx-lon\nx-longe\n", [b"A: 1", b"B: 2", b"BB: 3", b"X-Long: 4"]),
        (b"host\ncontent-length\n", [b"A: 1", b"B: 2", b"BB: 3", b"X-Long: 4"]),
        (b"unfinished", [b"A: 1", b"B: 2", b"BB: 3", b"X-Long: 4"]),
    ],
)
def test_names_can_be_removed(remove: bytes, left: list[bytes]) -> None:
    head = request(b"A: 1", b"B: 2", b"BB: 3", b"X-Long: 4")

    assert rewrite_request(head, remove=remove) == passed(*left)


def test_the_room_that_is_promised_suffices_in_the_worst_case() -> None:
    host = b"(" * 266 + b":65535"
    lines = b"".join(b"A%d:x\r\n" % i for i in range(1022))
    head = (
        b"G http://"
        + host
        + b" HTTP/1.1\r\n"
        + lines
        + b"Host:"
        + host
        + b"\r\nContent-Length:9223372036854775807\r\n\r\n"
    )

    written = rewrite_request(
        head,
        peer=b"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
        peer_is_v6=True,
        https=True,
        keep_alive=False,
        websocket=True,
        max_fields=1024,
    )

    assert written.count(host) == 3


STATUS = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("came", "options", "goes"),
    [
        (b"HTTP/1.0 404 Not Here\r\n\r\n", {}, b"HTTP/1.1 404 Not Here\r\n\r\n"),
        (b"HTTP/1.1 200\r\n\r\n", {}, b"HTTP/1.1 200 \r\n\r\n"),
        (b"HTTP/1.1 299 \xe9\r\n\r\n", {}, b"HTTP/1.1 299 \xe9\r\n\r\n"),
        (STATUS + b"B: 1\r\nB: 2\r\na:\r\n\r\n", {}, STATUS + b"B: 1\r\nB: 2\r\na:\r\n\r\n"),
        (
            STATUS + b"Set-Cookie: a\r\nset-cookie: b\r\n\r\n",
            {},
            STATUS + b"Set-Cookie: a\r\nset-cookie: b\r\n\r\n",
        ),
        (
            STATUS + b"X_A: 1\r\nProxy: 2\r\nVia: 1.1 x\r\n\r\n",
            {},
            STATUS + b"X_A: 1\r\nProxy: 2\r\nVia: 1.1 x\r\n\r\n",
        ),
        (
            STATUS
            + b"Connection: close, X-A\r\nKeep-Alive: 5\r\nX-A: 1\r\nProxy-Connection: x\r\nTE: x\r\nUpgrade: h2\r\n\r\n",
            {},
            STATUS + b"\r\n",
        ),
        (STATUS + b"Content-Length: 05\r\n\r\n", {}, STATUS + b"Content-Length: 5\r\n\r\n"),
        (
            STATUS + b"Content-Length: 5\r\nConnection: content-length\r\n\r\n",
            {},
            STATUS + b"Content-Length: 5\r\n\r\n",
        ),
        (STATUS + b"Transfer-Encoding: Chunked\r\n\r\n", {}, STATUS + b"Transfer-Encoding: chunked\r\n\r\n"),
        (
            STATUS + b"Transfer-Encoding: chunked\r\nTrailer: A\r\n\r\n",
            {"framing": "close", "keep_alive": False, "client_minor": 0},
            STATUS + b"Connection: close\r\n\r\n",
        ),
        (
            STATUS + b"Transfer-Encoding: chunked\r\nTrailer: A\r\n\r\n",
            {},
            STATUS + b"Trailer: A\r\nTransfer-Encoding: chunked\r\n\r\n",
        ),
        (STATUS + b"\r\n", {"framing": "chunked"}, STATUS + b"Transfer-Encoding: chunked\r\n\r\n"),
        (b"HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n", {"framing": "none"}, b"HTTP/1.1 204 No\r\n\r\n"),
        (
            b"HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n",
            {"framing": "none"},
            b"HTTP/1.1 204 No\r\n\r\n",
        ),
        (
            b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n",
            {"framing": "none"},
            b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n",
        ),
        (
            STATUS + b"A: b\r\nContent-Length: 05\r\nC: d\r\n\r\n",
            {"framing": "as_told"},
            STATUS + b"A: b\r\nContent-Length: 05\r\nC: d\r\n\r\n",
        ),
        (
            STATUS + b"Transfer-Encoding: chunked\r\n\r\n",
            {"framing": "as_told"},
            STATUS + b"Transfer-Encoding: chunked\r\n\r\n",
        ),
        (
            STATUS + b"Transfer-Encoding: chunked\r\n\r\n",
            {"framing": "as_told", "client_minor": 0},
            STATUS + b"Connection: keep-alive\r\n\r\n",
        ),
        (STATUS + b"\r\n", {"keep_alive": False}, STATUS + b"Connection: close\r\n\r\n"),
        (STATUS + b"\r\n", {"client_minor": 0}, STATUS + b"Connection: keep-alive\r\n\r\n"),
        (STATUS + b"\r\n", {"client_minor": 0, "keep_alive": False}, STATUS + b"Connection: close\r\n\r\n"),
        (
            b"HTTP/1.1 101 Go\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n",
            {"framing": "none", "websocket": True},
            b"HTTP/1.1 101 Go\r\nSec-WebSocket-Accept: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        ),
    ],
)  # 24 28 30 32 37
def test_a_response_head_is_written_anew(came: bytes, options: dict[str, Any], goes: bytes) -> None:
    assert rewrite_response(came, **options) == goes


@pytest.mark.parametrize(
    ("came", "goes"),
    [
        pytest.param(request(b"Cookie: node=x; a=1"), passed(b"Cookie: a=1"), id="among others"),
        pytest.param(
            request(b"A: 1", b"Cookie: node=x", b"B: 2"), passed(b"A: 1", b"B: 2"), id="nothing is left"
        ),
        pytest.param(
            request(b"Cookie: a=1", b"B: 2", b"cookie: node=x; c=3"),
            passed(b"B: 2", b"Cookie: a=1", b"Cookie: c=3"),
            id="several lines",
        ),
        pytest.param(request(b"B: node=x"), passed(b"B: node=x"), id="no cookie at all"),
    ],
)
def test_our_cookie_does_not_reach_the_node(came: bytes, goes: bytes) -> None:
    assert rewrite_request(came, cookie=b"node") == goes


def test_a_cookie_field_that_is_removed_stays_removed() -> None:
    assert rewrite_request(request(b"Cookie: node=x; a=1"), cookie=b"node", remove=b"cookie\n") == passed()


@pytest.mark.parametrize(
    "came", [request(), request(b"X-Request-Id: theirs"), request(b"x-request-id: a", b"X-Request-ID: b")]
)
def test_there_is_one_request_id_when_we_say_which(came: bytes) -> None:
    assert rewrite_request(came, request_id=b"ours") == passed(b"X-Request-Id: ours")


def test_lines_can_be_added_to_a_response() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nSet-Cookie: a=1\r\n\r\n"
    added = rewrite_response(head, insert=b"Set-Cookie: node=x\r\n")
    assert added == (b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: node=x\r\nContent-Length: 0\r\n\r\n")
