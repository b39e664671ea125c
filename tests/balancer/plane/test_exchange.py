"""One request as a sans-I/O machine: framings, endings, answers of our own, any split of the bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgistack.balancer.plane.exchange_face import ExchangeEnded, ExchangeFace

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
OLD_GET = b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"
HEAD = b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
CHUNKS = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
UPGRADE = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"


def run(request: bytes, *response: bytes, eof: bool = False) -> ExchangeFace:
    exchange = ExchangeFace()
    exchange.client(request)
    for piece in response:
        exchange.node(piece)
    if eof:
        exchange.node_eof()
    return exchange


@pytest.mark.parametrize(
    ("request_bytes", "body"),
    [
        pytest.param(POST, b"\r\n\r\nhello", id="length"),
        pytest.param(
            CHUNKS + b"5;x=1\r\nhello\r\n0\r\n\r\n", b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n", id="extension"
        ),
        pytest.param(
            CHUNKS + b"1\r\nh\r\n0\r\nX-Sum: 1\r\nHost: evil\r\n\r\n",
            b"\r\n\r\n1\r\nh\r\n0\r\nX-Sum: 1\r\n\r\n",
            id="forbidden trailer",
        ),
    ],
)
def test_a_request_body_is_framed_anew(request_bytes: bytes, body: bytes) -> None:
    exchange = run(request_bytes)
    assert exchange.to_node.endswith(body)
    assert exchange.state["request_done"]


@pytest.mark.parametrize(
    ("request_bytes", "response", "eof", "expected", "client_keep", "node_keep"),
    [
        pytest.param(
            GET, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", False,
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", True, True, id="length",
        ),
        pytest.param(
            GET, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;e\r\nhi\r\n0\r\n\r\n", False,
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", True, True, id="chunked",
        ),
        pytest.param(
            OLD_GET, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", False,
            b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhi", False, True, id="chunked to 1.0",
        ),
        pytest.param(
            GET, b"HTTP/1.0 200 OK\r\n\r\nhi", True,
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", True, False,
            id="close-delimited",
        ),
        pytest.param(
            OLD_GET, b"HTTP/1.0 200 OK\r\n\r\nhi", True,
            b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhi", False, False, id="close-delimited to 1.0",
        ),
        pytest.param(
            HEAD, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", False,
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", True, False, id="HEAD, whose body may come all the same",
        ),
        pytest.param(
            HEAD, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", False,
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", True, True, id="HEAD of nothing",
        ),
        pytest.param(
            GET, b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n", False,
            b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n", True, True, id="304",
        ),
        pytest.param(
            GET, b"HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n", False,
            b"HTTP/1.1 204 No Content\r\n\r\n", True, False, id="204 with a length",
        ),
        pytest.param(
            GET, b"HTTP/1.1 204 No Content\r\n\r\n", False,
            b"HTTP/1.1 204 No Content\r\n\r\n", True, True, id="204",
        ),
        pytest.param(
            GET, b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", False,
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            True, True, id="103",
        ),
        pytest.param(
            GET, b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", False,
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", True, True, id="100 is ours to send",
        ),
    ],
)  # fmt: skip
def test_a_response_is_framed_for_its_client(
    request_bytes: bytes, response: bytes, eof: bool, expected: bytes, client_keep: bool, node_keep: bool
) -> None:
    exchange = run(request_bytes, response, eof=eof)
    assert exchange.to_client == expected
    assert exchange.state["response"] == "done"
    assert (exchange.state["client_keep"], exchange.state["node_keep"]) == (client_keep, node_keep)


def test_a_tunnel_begins_only_with_an_upgrade_that_was_asked_for() -> None:
    switched = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    exchange = run(UPGRADE, switched + b"\x81\x02hi")
    assert exchange.state["response"] == "tunnel"
    assert exchange.to_client.endswith(b"\r\n\r\n\x81\x02hi")
    exchange.client(b"\x00\xff")
    assert exchange.to_node.endswith(b"\x00\xff")
    with pytest.raises(ExchangeEnded, match="unexpected_upgrade"):
        run(GET, switched)


@pytest.mark.parametrize(
    ("response", "why"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi", "response_truncated"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", "response_truncated"),
        (b"HTTP/1.1 200 OK\r\nContent-", "node_closed"),
        (b"", "node_closed"),
    ],
)
def test_an_end_too_early_is_never_a_complete_response(response: bytes, why: str) -> None:
    with pytest.raises(ExchangeEnded, match=why):
        run(GET, response, eof=True)


def test_bytes_behind_a_response_are_left_over() -> None:
    exchange = run(GET, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\n")
    assert exchange.state["node_rest"] == b"HTTP/1.1 200 OK\r\n"


def test_an_answer_before_the_end_of_the_request_keeps_neither_connection() -> None:
    exchange = run(POST[:-3], b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")
    assert not exchange.state["client_keep"]
    assert b"Connection: close" in exchange.to_client


@pytest.mark.parametrize(
    ("response", "seen"),
    [
        pytest.param(b"", b"", id="nothing"),
        pytest.param(b"HTTP/1.1 200 OK\r\n", b"", id="half a head"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n", b"", id="a 100 is ours to send"),
        pytest.param(
            b"HTTP/1.1 103 Early Hints\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\n\r\n", id="an interim head"
        ),
    ],
)
def test_what_the_client_sees_before_the_final_head(response: bytes, seen: bytes) -> None:
    exchange = run(GET, response)
    assert exchange.to_client == seen


def test_an_answer_of_a_watched_status_waits_until_it_is_let_pass() -> None:
    exchange = ExchangeFace()
    exchange.client(GET)
    exchange.watch(502, 503)
    exchange.node(b"HTTP/1.1 503 Busy\r\nContent-")
    exchange.node(b"Length: 2\r\n\r\nno")
    assert exchange.state["held"]
    assert exchange.state["status"] == 503
    assert exchange.to_client == b""
    exchange.let_pass()
    assert exchange.to_client == b"HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\nno"
    assert exchange.state["response"] == "done"


@pytest.mark.parametrize("status", [200, 404, 500, 501, 504])
def test_an_answer_of_another_status_passes_at_once(status: int) -> None:
    exchange = ExchangeFace()
    exchange.client(GET)
    exchange.watch(502, 503)
    exchange.node(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status)
    assert not exchange.state["held"]
    assert exchange.state["response"] == "done"


LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def waiting(request: bytes = GET) -> ExchangeFace:
    exchange = ExchangeFace()
    exchange.client(request)
    exchange.wait_for_body(True)
    return exchange


@pytest.mark.parametrize(("head", "body"), [(LENGTH, b"hi"), (CHUNKED, b"2\r\nhi\r\n0\r\n\r\n")])
def test_a_head_waits_for_the_first_byte_of_its_body(head: bytes, body: bytes) -> None:
    exchange = waiting()
    exchange.node(head)
    assert exchange.state["lone"]
    assert exchange.to_client == b""
    exchange.node(body[:1])
    assert not exchange.state["lone"]
    assert exchange.to_client.startswith(head)
    exchange.node(body[1:])
    assert exchange.state["response"] == "done"


def test_a_head_that_may_wait_no_longer_goes_alone() -> None:
    exchange = waiting()
    exchange.node(LENGTH)
    exchange.wait_for_body(False)
    exchange.node(b"")
    assert exchange.to_client == LENGTH
    assert exchange.state["response"] == "body"


@pytest.mark.parametrize("head", [LENGTH, CHUNKED])
def test_an_end_behind_a_head_that_waits_shows_the_client_nothing(head: bytes) -> None:
    exchange = waiting()
    exchange.node(head)
    with pytest.raises(ExchangeEnded, match="response_truncated"):
        exchange.node_eof()
    assert exchange.to_client == b""


@pytest.mark.parametrize(
    ("request_bytes", "response"),
    [
        pytest.param(GET, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", id="an empty body"),
        pytest.param(GET, b"HTTP/1.1 204 No Content\r\n\r\n", id="a status without a body"),
        pytest.param(GET, b"HTTP/1.1 304 X\r\nContent-Length: 2\r\n\r\n", id="a length of what is not sent"),
        pytest.param(GET, b"HTTP/1.1 200 OK\r\n\r\n", id="a body that the end of the connection ends"),
        pytest.param(GET.replace(b"GET", b"HEAD"), LENGTH, id="an answer to HEAD"),
        pytest.param(GET, b"HTTP/1.1 103 Early Hints\r\n\r\n" + LENGTH, id="an answer that has begun"),
    ],
)
def test_a_head_that_no_body_follows_does_not_wait(request_bytes: bytes, response: bytes) -> None:
    exchange = waiting(request_bytes)
    exchange.node(response)
    assert not exchange.state["lone"]
    assert b" 20" in exchange.to_client or b" 304 " in exchange.to_client


@pytest.mark.parametrize(("status", "retry"), [(502, False), (503, True), (504, False)])
def test_an_answer_of_our_own_has_a_body_and_says_when_to_come_back(status: int, retry: bool) -> None:
    exchange = run(GET)
    exchange.answer(status)
    assert exchange.to_client.startswith(b"HTTP/1.1 %d " % status)
    assert exchange.to_client.endswith(b"no_node\n")
    assert (b"Retry-After: 1\r\n" in exchange.to_client) is retry


REQUESTS = [GET, POST, CHUNKS + b"5;x=1\r\nhello\r\n1\r\n!\r\n0\r\nX: 1\r\n\r\n", UPGRADE]
RESPONSES = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: 1\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n3;q\r\nabc\r\n0\r\nT: 1\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
]


def body_of(message: bytes) -> bytes:
    """The body with its chunk borders gone: where a chunk is cut depends on how its bytes came."""
    head, _, rest = message.partition(b"\r\n\r\n")
    if b"chunked" not in head:
        return message
    body = b""
    while rest:
        line, _, rest = rest.partition(b"\r\n")
        size = int(line, 16)
        if size == 0:
            return head + b"|" + body + b"|" + rest
        body, rest = body + rest[:size], rest[size + 2 :]
    return head + b"|" + body + b"|unended"


def outcome(request: list[bytes], response: list[bytes]) -> object:
    exchange = ExchangeFace()
    try:
        for piece in request:
            exchange.client(piece)
        for piece in response:
            exchange.node(piece)
    except ExchangeEnded as why:
        return str(why)
    return body_of(exchange.to_node), body_of(exchange.to_client), exchange.state


def cut(data: bytes, places: list[int]) -> list[bytes]:
    borders = [0, *sorted(p % (len(data) + 1) for p in places), len(data)]
    return [data[a:b] for a, b in zip(borders, borders[1:], strict=False)]  # noqa: RUF007 - pairs by hand


@given(
    st.sampled_from(REQUESTS), st.sampled_from(RESPONSES), st.lists(st.integers(0, 300), max_size=8),
    st.lists(st.integers(0, 300), max_size=8),
)  # fmt: skip
def test_any_split_of_the_bytes_gives_the_same(
    request_bytes: bytes, response: bytes, there: list[int], back: list[int]
) -> None:
    assert outcome(cut(request_bytes, there), cut(response, back)) == outcome([request_bytes], [response])
