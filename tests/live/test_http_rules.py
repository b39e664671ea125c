"""Raw bytes through a real balancer: what is refused, what is forwarded and how, what comes back."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.processes import Backend, Balancer, site
from tests.live.raw import RawNode, exchange

SETTINGS = """
SET client_header_timeout = 1s
SET client_body_timeout = 1s
SET node_first_byte_timeout = 2s
SET buffer_backend_connect = 0
SET max_headers = 100
"""


class Stage:
    """One balancer with one raw node for all cases of the module."""

    def __init__(self, folder: Path) -> None:
        self.node = RawNode()
        backend = Backend()
        backend.address = self.node.address
        self.balancer = Balancer(
            folder, site([backend], workers=1, pool="SET mypool.health_check = none", service=SETTINGS)
        )
        self.balancer.start()
        self.workers = self.balancer.worker_pids()

    def say(self, data: bytes, **how: bool | bytes) -> bytes:
        """Send raw bytes; the node starts with nothing received."""
        self.node.received.clear()
        return exchange(self.balancer.site, data, **how)  # type: ignore[arg-type]  # the names are its own


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    made = Stage(tmp_path_factory.mktemp("rules"))
    yield made
    assert made.balancer.worker_pids() == made.workers, "a worker died"
    assert "Traceback" not in made.balancer.log
    assert made.balancer.stop() == 0
    made.node.stop()


def post(*fields: bytes, body: bytes = b"") -> bytes:
    return b"POST / HTTP/1.1\r\nHost: a\r\n" + b"".join(f + b"\r\n" for f in fields) + b"\r\n" + body


def get(*fields: bytes, line: bytes = b"GET / HTTP/1.1", host: bytes = b"Host: a\r\n") -> bytes:
    return line + b"\r\n" + host + b"".join(f + b"\r\n" for f in fields) + b"\r\n"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(post(b"Content-Length: +5", body=b"hello"), 400, id="2 sign"),
        pytest.param(post(b"Content-Length: 5,6", body=b"hello"), 400, id="3 list"),
        pytest.param(post(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"), 400, id="4 both"),
        pytest.param(post(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"), 501, id="5 coding"),
        pytest.param(post(b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n"), 400, id="5 unknown"),
        pytest.param(
            b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, id="6 1.0 chunked"
        ),
        pytest.param(post(b"Transfer-Encoding: chunked", body=b"0x5\r\nhello\r\n0\r\n\r\n"), 400, id="7 size"),
        pytest.param(post(b"Transfer-Encoding: chunked", body=b"5\nhello\r\n0\r\n\r\n"), 400, id="8 bare LF"),
        pytest.param(post(b"Transfer-Encoding: chunked", body=b"5\r\nhelloXX0\r\n\r\n"), 400, id="8 two bytes"),
        pytest.param(get(b"X : 1"), 400, id="15 space before colon"),
        pytest.param(get(b": 1"), 400, id="15 empty name"),
        pytest.param(get(b"X: a\x00b"), 400, id="16 NUL"),
        pytest.param(get(b"X: a\rb"), 400, id="16 bare CR"),
        pytest.param(get(b"X: a", b" folded"), 400, id="16 obs-fold"),
        pytest.param(get(host=b""), 400, id="17 no Host"),
        pytest.param(get(b"Host: b"), 400, id="17 two Hosts"),
        pytest.param(get(host=b"Host: a b\r\n"), 400, id="17 bad Host"),
        pytest.param(b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 405, id="19 CONNECT"),
        pytest.param(get(line=b"GET * HTTP/1.1"), 400, id="19 asterisk"),
        pytest.param(get(line=b"GET /a#b HTTP/1.1"), 400, id="19 fragment"),
        pytest.param(get(line=b"GET /\xff HTTP/1.1"), 400, id="19 8 bits"),
        pytest.param(get(line=b"GET / HTTP/2.0"), 505, id="20 version"),
        pytest.param(b"GET /\r\n\r\n", 400, id="20 HTTP/0.9"),
        pytest.param(get(line=b"GET /" + b"a" * 65536 + b" HTTP/1.1"), 414, id="22 64 kB URI"),
        pytest.param(get(*(b"X-%d: 1" % i for i in range(1000))), 431, id="22 1,000 fields"),
        pytest.param(get(b"X: " + b"a" * 40000), 431, id="22 40 kB field"),
        pytest.param(get(b"Expect: magic"), 417, id="31 unknown expectation"),
    ],
)  # fmt: skip
def test_a_doubtful_request_is_refused_and_its_connection_closed(
    stage: Stage, data: bytes, status: int
) -> None:
    answer = stage.say(data + get(line=b"GET /smuggled HTTP/1.1"))
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer[:200]
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"Connection: close" in head
    assert body
    assert answer.count(b"HTTP/1.1 ") == 1
    assert not any(b"smuggled" in one for one in stage.node.received)


def test_what_the_node_gets_is_written_anew(stage: Stage) -> None:
    fields = (
        b"X-Case: a  b", b"Connection: close, X-Hop", b"X-Hop: 1", b"TE: trailers", b"Keep-Alive: 5", b"Proxy: evil",
        b"X_Forwarded_For: 6.6.6.6", b"X-Forwarded-For: 6.6.6.6", b"Forwarded: for=6.6.6.6", b"X-Forwarded-Proto: https",
        b"Upgrade: h2c", b"X-Empty:",
    )  # fmt: skip
    stage.say(get(*fields, line=b"GET /p?q=%0d%0a HTTP/1.1"))
    expected = (
        b"GET /p?q=%0d%0a HTTP/1.1\r\nHost: a\r\nX-Case: a  b\r\nX-Empty:\r\nX-Forwarded-For: 127.0.0.1\r\n"
        b"X-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\nForwarded: for=127.0.0.1;host=a;proto=http\r\n"
        b"Via: 1.1 wsgistack\r\n\r\n"
    )
    assert stage.node.received == [expected]


def test_pipelined_requests_are_answered_in_order(stage: Stage) -> None:
    answer = stage.say(
        get(line=b"GET /1 HTTP/1.1") + get(line=b"GET /2 HTTP/1.1") + get(b"Connection: close")
    )
    assert answer.count(b"HTTP/1.1 200 OK") == 3
    assert [r.split(b" ")[1] for r in stage.node.received] == [b"/1", b"/2", b"/"]


def test_half_a_body_never_reaches_a_node_as_a_whole_one(stage: Stage) -> None:
    stage.say(post(b"Transfer-Encoding: chunked", body=b"5\r\nhel"), finish=True)
    assert not any(r.endswith(b"0\r\n\r\n") for r in stage.node.received)


def test_a_client_that_closes_its_side_still_gets_its_answer(stage: Stage) -> None:
    assert stage.say(get(), finish=True).endswith(b"\r\n\r\nok")


def test_expect_is_answered_and_not_passed_on(stage: Stage) -> None:
    data = post(b"Content-Length: 5", b"Expect: 100-continue", b"Connection: close")
    assert stage.say(data, until=b"100 Continue").startswith(b"HTTP/1.1 100 Continue\r\n\r\n")


@pytest.mark.parametrize(
    ("answer", "close"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", True, id="33 lengths"),
        pytest.param(b"HTTP/1.1 2xx OK\r\n\r\n", True, id="33 status"),
        pytest.param(b"junk\r\n\r\n", True, id="33 junk"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX : 1\r\nContent-Length: 0\r\n\r\n", True, id="34 space before colon"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n", True, id="34 obs-fold"),
        pytest.param(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", True, id="28 unasked 101"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100000, True, id="39 endless head"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-", True, id="35 half a head"),
    ],
)  # fmt: skip
def test_a_bad_response_is_a_502(stage: Stage, answer: bytes, close: bool) -> None:
    before = stage.node.answer
    stage.node.answer, stage.node.close = answer, close
    try:
        assert stage.say(post(b"Content-Length: 0", b"Connection: close")).startswith(b"HTTP/1.1 502 ")
    finally:
        stage.node.answer, stage.node.close = before, False


def test_a_short_response_ends_visibly(stage: Stage) -> None:
    before = stage.node.answer
    stage.node.answer, stage.node.close = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
        True,
    )
    try:
        got = stage.say(get())
        assert got.endswith(b"2\r\nok\r\n")
    finally:
        stage.node.answer, stage.node.close = before, False


def test_a_get_is_sent_again_and_a_post_is_not(stage: Stage) -> None:
    stage.node.reset_first = 1
    assert stage.say(get(b"Connection: close")).startswith(b"HTTP/1.1 200 ") or len(stage.node.received) == 1
    stage.node.reset_first = 1
    assert stage.say(post(b"Content-Length: 2", b"Connection: close", body=b"hi")).startswith(
        b"HTTP/1.1 502 "
    )
    assert len(stage.node.received) == 1
    stage.node.reset_first = 0


def test_a_slow_head_is_ended_in_time(stage: Stage) -> None:
    assert stage.say(b"GET / HTTP/1.1\r\nHost: a\r\nX: ").startswith(b"HTTP/1.1 408 ")


def test_a_stalled_body_is_ended_in_time(stage: Stage) -> None:
    assert stage.say(post(b"Content-Length: 5", body=b"he")).startswith(b"HTTP/1.1 408 ")


def test_random_bytes_get_an_answer_or_a_clean_end(stage: Stage) -> None:
    rng = random.Random(20261123)
    for _ in range(60):
        answer = stage.say(rng.randbytes(rng.choice([1, 20, 3000])) + b"\r\n\r\n")
        assert answer == b"" or answer.startswith(
            (b"HTTP/1.1 400 ", b"HTTP/1.1 505 ", b"HTTP/1.1 431 ", b"HTTP/1.1 414 ")
        )
    assert stage.say(get(b"Connection: close")).startswith(b"HTTP/1.1 200 ")
