"""Rules 45-47 of tests/live/rules.py: bounded memory, slow peers, linear work, with real sockets."""

import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.live.link import Link, ScriptNode, answer, keep_requests, read_request
from tests.live.proc import cpu_s, rss_bytes, settles
from tests.live.processes import eventually
from tests.live.stage import Stage, make_request

MIB = 2**20
BIG = 64 * MIB
BLOCK = bytes(range(256)) * 256
SETTINGS = """
SET buffer_backend_connect = 0
SET max_headers = 1000
SET max_header_bytes = 1m
SET max_uri_bytes = 64k
SET max_chunked_request_size = 0
SET client_header_timeout = 2s
SET client_write_timeout = 3s
"""
CLOSE = b"Connection: close"
POST = b"POST / HTTP/1.1"
CHUNKED = b"Transfer-Encoding: chunked"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    made = Stage(tmp_path_factory.mktemp("rules"), SETTINGS)
    yield made
    made.end()


@pytest.fixture
def stage(whole: Stage) -> Stage:
    whole.serve(keep_requests)
    return whole


class Growth:
    """How much the worker's memory grew since the start, after one small request."""

    def __init__(self, stage: Stage) -> None:
        stage.say(make_request(CLOSE))
        self.pid = stage.workers[0]
        self.before = rss_bytes(self.pid)

    def check(self) -> None:
        grown = rss_bytes(self.pid) - self.before
        assert grown < 40 * MIB, f"grew by {grown // MIB} MiB"


def send_big(link: Link, chunked: bool, count: list[int]) -> None:
    for _ in range(BIG // len(BLOCK)):
        link.send(b"10000\r\n" + BLOCK + b"\r\n" if chunked else BLOCK)
        count[0] += 1
    if chunked:
        link.send(b"0\r\n\r\n")


def framing(chunked: bool) -> bytes:
    return CHUNKED if chunked else b"Content-Length: %d" % BIG


def count_body(link: Link, chunked: bool) -> int:
    """Read a body, check each byte of it, return its length."""
    total = 0
    while True:
        size = int(link.until(b"\r\n"), 16) if chunked else min(BIG - total, 65536)
        if size == 0:
            return total
        data = link.take(size)
        start = total % 256
        assert data == (BLOCK * (size // len(BLOCK) + 2))[start : start + size]
        total += size
        if chunked:
            assert link.take(2) == b"\r\n"


# 45: memory -------------------------------------------------------------------------------


@pytest.mark.rule(45)
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunks"])
@pytest.mark.parametrize("half_close", [False, True], ids=["", "half-closed"])
def test_a_large_download_to_a_slow_reader_takes_little_memory(
    stage: Stage, chunked: bool, half_close: bool
) -> None:
    sent = [0]

    def serve(link: Link, _: ScriptNode) -> None:
        link.until(b"\r\n\r\n")
        link.send(b"HTTP/1.1 200 OK\r\n" + framing(chunked) + b"\r\n\r\n")
        send_big(link, chunked, sent)

    growth = Growth(stage)
    stage.serve(serve)
    with stage.open(make_request(), receive_buffer=65536) as link:
        if half_close:
            link.finish()
        assert link.until(b"\r\n\r\n").startswith(b"HTTP/1.1 200 ")
        stopped_at = settles(lambda: sent[0])
        assert 0 < stopped_at < BIG // len(BLOCK), "the node was not held back"
        growth.check()
        assert count_body(link, chunked) == BIG
    growth.check()


@pytest.mark.rule(45)
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunks"])
def test_a_large_upload_to_a_slow_node_takes_little_memory(stage: Stage, chunked: bool) -> None:
    sent = [0]
    may_read = threading.Event()

    def serve(link: Link, _: ScriptNode) -> None:
        link.until(b"\r\n\r\n")
        may_read.wait(30)
        link.send(answer(b"%d" % count_body(link, chunked)))

    growth = Growth(stage)
    stage.serve(serve)
    with stage.open(make_request(framing(chunked), line=POST)) as link:
        sender = threading.Thread(target=send_big, args=(link, chunked, sent))
        sender.start()
        stopped_at = settles(lambda: sent[0])
        assert 0 < stopped_at < BIG // len(BLOCK), "the client was not held back"
        growth.check()
        may_read.set()
        assert link.response()[::2] == (200, b"%d" % BIG)
        sender.join(10)
    growth.check()


@pytest.mark.rule(45, 46)
def test_many_slow_readers_hold_neither_memory_nor_nodes_and_end_in_time(stage: Stage) -> None:
    body = BLOCK * 3

    def serve(link: Link, node: ScriptNode) -> None:
        while True:
            read_request(link)
            link.send(answer(body))

    growth = Growth(stage)
    stage.serve(serve)
    stage.balancer.admin("SET mysite.client_sndbuf_size = 16k")
    try:
        with ExitStack() as stack:
            links = [stack.enter_context(stage.open(make_request(), receive_buffer=4096)) for _ in range(60)]
            eventually(lambda: stage.clients() == 60)
            eventually(lambda: f"{stage.node.address} inflight 0" in stage.balancer.admin("nodes"))
            growth.check()
            eventually(lambda: stage.clients() == 0, what="they are not cut")
            assert stage.balancer.wait_for_log("reason=client_write_timeout")
            assert all(len(link.rest()) < len(body) for link in links)
    finally:
        stage.balancer.admin("SET mysite.client_sndbuf_size = 0")


# 46: slow peers ---------------------------------------------------------------------------


@pytest.mark.rule(46)
def test_a_trickling_head_does_not_extend_its_deadline(stage: Stage) -> None:
    with stage.open(b"GET / HTTP/1.1\r\nHost: a\r\nX: ") as link:
        began = time.monotonic()
        threading.Thread(target=trickle, args=(link,), daemon=True).start()
        assert link.until(b"\r\n\r\n").startswith(b"HTTP/1.1 408 ")
        assert time.monotonic() - began < 20  # it trickles for 30


def trickle(link: Link) -> None:
    try:
        for _ in range(300):
            link.send(b"a")
            time.sleep(0.1)
    except OSError:
        pass


def median_s(stage: Stage, count: int = 60) -> float:
    """Return the median time of a request on a connection of its own."""
    times = []
    for _ in range(count):
        began = time.perf_counter()
        assert stage.say(make_request(CLOSE)).startswith(b"HTTP/1.1 200 ")
        times.append(time.perf_counter() - began)
    return statistics.median(times)


@pytest.mark.rule(46)
def test_500_half_open_clients_delay_nobody(stage: Stage) -> None:
    stage.balancer.admin("SET mysite.client_header_timeout = 20s")
    try:
        alone = median_s(stage)
        heads = [
            b"",
            b"G",
            b"GET / HTTP/1.1\r\nHost: a\r\nX: ",
            make_request(b"Content-Length: 9", line=POST) + b"x",
        ]
        with ExitStack() as stack:
            for number in range(500):
                stack.enter_context(stage.open(heads[number % 4]))
            eventually(lambda: stage.clients() == 500)
            busy = median_s(stage)
            assert stage.clients() >= 500
    finally:
        stage.balancer.admin("SET mysite.client_header_timeout = 2s")
    assert busy < 3 * alone + 0.02, f"{alone * 1e3:.1f} ms alone, {busy * 1e3:.1f} ms beside 500 others"


# 47: linear work --------------------------------------------------------------------------


def cost_s(stage: Stage, work: Callable[[], None], times: int = 3) -> float:
    """Return the least processor time of the worker over some runs of *work*."""
    costs = []
    for _ in range(times):
        before = cpu_s(stage.workers[0])
        work()
        costs.append(cpu_s(stage.workers[0]) - before)
    return min(costs)


def check_linear(stage: Stage, work: Callable[[int], None], n: int) -> None:
    """Four times the size may cost at most eight times as much: a quadratic cost would be sixteen."""
    small, large = cost_s(stage, lambda: work(n)), cost_s(stage, lambda: work(4 * n))
    assert large < 8 * small + 0.02, f"{n}: {small * 1e3:.1f} ms, {4 * n}: {large * 1e3:.1f} ms"


def expect(stage: Stage, data: bytes, status: int) -> None:
    with stage.open() as link:
        sender = threading.Thread(target=link.send, args=(data,))
        sender.start()
        assert link.response()[0] == status
        sender.join(10)


@pytest.mark.rule(47)
def test_tiny_chunks_of_a_request_cost_what_they_weigh(stage: Stage) -> None:
    def work(n: int) -> None:
        expect(stage, make_request(CHUNKED, line=POST, body=b"1\r\nx\r\n" * n + b"0\r\n\r\n"), 200)

    stage.serve(counting)
    check_linear(stage, work, 50000)


def counting(link: Link, _: ScriptNode) -> None:
    """Read a chunked request in bulk and answer it."""
    link.until(b"\r\n\r\n")
    tail = b""
    while not tail.endswith(b"0\r\n\r\n"):
        if not (data := link.socket.recv(65536)):
            return
        tail = tail[-10:] + data
    # It closes: without this word the next POST may meet the end of this connection, and is never sent twice.
    link.send(answer(b"ok", CLOSE))


@pytest.mark.rule(47)
def test_tiny_chunks_of_a_response_cost_what_they_weigh(stage: Stage) -> None:
    size = 0

    def serve(link: Link, _: ScriptNode) -> None:
        link.until(b"\r\n\r\n")
        link.send(b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"\r\n\r\n" + b"1\r\nx\r\n" * size + b"0\r\n\r\n")

    def work(n: int) -> None:
        nonlocal size
        size = n
        with stage.open(make_request(CLOSE)) as link:
            total = 0
            while data := link.socket.recv(65536):
                total += len(data)
        assert total > 6 * n

    stage.serve(serve)
    check_linear(stage, work, 50000)


@pytest.mark.rule(47)
@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda n: [b"X-%d: 1" % i for i in range(n)], id="fields"),
        pytest.param(lambda n: [b"Cookie: a" for _ in range(n)], id="one field often"),
        pytest.param(
            lambda n: [b"Connection: " + b", ".join(b"X-%d" % i for i in range(20 * n)), *[b"X-%d: 1" % i for i in range(n)]],
            id="a long Connection",
        ),
        pytest.param(
            lambda n: [b"Connection: X" + b", X" * 20 * n, *[b"X: 1" for _ in range(n)]], id="one name often"
        ),
        pytest.param(lambda n: [b"Connection: x-a" for _ in range(n)], id="many Connections"),
        pytest.param(lambda n: [b"Via: " + b"1.1 a, " * 20 * n], id="a long value"),
        pytest.param(lambda n: [b"Upgrade: " + b"a, " * 20 * n, b"Connection: upgrade"], id="a long Upgrade"),
    ],
)  # fmt: skip
def test_fields_cost_what_they_weigh(stage: Stage, make: Callable[[int], list[bytes]]) -> None:
    def work(n: int) -> None:
        data = make_request(*make(n)) * 30
        with stage.open() as link:
            sender = threading.Thread(target=link.send, args=(data,))
            sender.start()
            for _ in range(30):
                assert link.response()[0] == 200
            sender.join(10)

    check_linear(stage, work, 240)
