"""Each time limit of docs/settings.md with real sockets: it answers or cuts, in time, and says why."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.live.link import Link, ScriptNode, answer, keep_requests, read_request
from tests.live.processes import eventually
from tests.live.stage import Stage, make_request

SETTINGS = """
SET buffer_backend_connect = 0
SET connect_timeout = 1s
SET verify_timeout = 1s
SET node_first_byte_timeout = 1s
SET node_idle_timeout = 1s
SET node_keepalive_timeout = 1s
SET client_header_timeout = 1s
SET client_body_timeout = 1s
SET client_write_timeout = 1s
SET persist_client_idle_timeout = 1s
SET tunnel_timeout = 1s
"""
LATEST_S = 8.0  # for a limit of 1 s, on a machine that is busy with other tests
CLOSE = b"Connection: close"
POST = b"POST / HTTP/1.1"
BIG = b"Content-Length: 100000000"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    made = Stage(tmp_path_factory.mktemp("timeouts"), SETTINGS)
    yield made
    made.end()


@pytest.fixture
def stage(whole: Stage) -> Stage:
    whole.serve(keep_requests)
    return whole


@contextmanager
def setting(stage: Stage, key: str, value: str, before: str) -> Iterator[None]:
    """Set *key* of the service for a while."""
    assert stage.balancer.admin(f"SET mysite.{key} = {value}") == ["OK"]
    try:
        yield
    finally:
        assert stage.balancer.admin(f"SET mysite.{key} = {before}") == ["OK"]


@contextmanager
def in_time() -> Iterator[None]:
    """What is done inside takes about a second: neither at once nor much longer."""
    began = time.monotonic()
    yield
    took = time.monotonic() - began
    assert 0.8 < took < LATEST_S, f"took {took:.1f} s"


def silent(link: Link, node: ScriptNode) -> None:
    """Read the request and say nothing until the connection ends."""
    node.received.append(read_request(link))
    link.rest()


@pytest.fixture
def deaf() -> Iterator[str]:
    """The address of a node that listens and never accepts: its queue is full."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        host, port = listener.getsockname()
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex((host, port))
        yield f"{host}:{port}"


def test_connect_timeout_is_a_504(stage: Stage, deaf: str) -> None:
    stage.balancer.admin(f"pool mypool remove {stage.node.address}")
    stage.balancer.admin(f"pool mypool add {deaf}")
    try:
        with in_time():
            got = stage.say(make_request(CLOSE, b"Content-Length: 2", line=POST, body=b"hi"))
    finally:
        stage.balancer.admin(f"pool mypool remove {deaf}")
    assert got.startswith(b"HTTP/1.1 504 ")
    assert got.endswith(b"504 Gateway Timeout\nconnect_timeout\n")


def test_a_node_that_does_not_accept_delays_a_request_and_fails_none(stage: Stage, deaf: str) -> None:
    stage.balancer.admin(f"pool mypool add {deaf}")
    try:
        for _ in range(6):
            got = stage.say(make_request(CLOSE, b"Content-Length: 2", line=POST, body=b"hi"))
            assert got.startswith(b"HTTP/1.1 200 ")
    finally:
        stage.balancer.admin(f"pool mypool remove {deaf}")


def test_verify_timeout_is_a_504(stage: Stage) -> None:
    stage.serve(silent)
    with setting(stage, "verify_backend", "on", "off"), in_time():
        got = stage.say(make_request(CLOSE))
    assert got.startswith(b"HTTP/1.1 504 ")
    assert [r.lines[0].split(b" ")[0] for r in stage.node.received] == [b"OPTIONS"]


@pytest.mark.parametrize("method", [b"GET", b"POST"])
def test_node_first_byte_timeout_is_a_504_and_nothing_is_sent_again(stage: Stage, method: bytes) -> None:
    stage.serve(silent)
    with in_time():
        got = stage.say(make_request(CLOSE, b"Content-Length: 0", line=method + b" / HTTP/1.1"))
    assert got.startswith(b"HTTP/1.1 504 ")
    assert got.endswith(b"504 Gateway Timeout\nnode_timeout\n")
    assert len(stage.node.received) == 1
    eventually(lambda: stage.node.open == 0, what="the node's connection is kept")


def test_node_idle_timeout_cuts_a_response_that_stalls(stage: Stage) -> None:
    def serve(link: Link, _: ScriptNode) -> None:
        read_request(link)
        link.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        link.rest()

    stage.serve(serve)
    with in_time():
        got = stage.say(make_request())
    assert got.endswith(b"\r\n\r\nhalf")
    assert stage.balancer.wait_for_log("reason=node_timeout")


def test_node_idle_timeout_ends_an_upload_that_is_not_taken(stage: Stage) -> None:
    over = threading.Event()

    def serve(link: Link, _: ScriptNode) -> None:
        link.until(b"\r\n\r\n")
        over.wait(LATEST_S)

    stage.serve(serve)
    with stage.open(make_request(BIG, line=POST)) as link, in_time():
        sender = threading.Thread(target=send_until_refused, args=(link,))
        sender.start()
        assert link.until(b"\r\n\r\n").startswith(b"HTTP/1.1 504 ")
        sender.join(LATEST_S)
    over.set()


def send_until_refused(link: Link) -> None:
    try:
        for _ in range(1000):
            link.send(b"x" * 65536)
    except OSError:
        pass


@pytest.mark.parametrize("size", [100_000_000, 0], ids=["splice", "chunks"])
def test_a_reader_that_pauses_is_not_the_nodes_fault(stage: Stage, size: int) -> None:
    # The node waits longer than node_idle_timeout because its client does.
    blocks = 100_000_000 // 100_000

    def serve(link: Link, _: ScriptNode) -> None:
        read_request(link)
        link.send(b"HTTP/1.1 200 OK\r\n" + (BIG if size else b"Transfer-Encoding: chunked") + b"\r\n\r\n")
        for _block in range(blocks):
            link.send(b"x" * 100_000 if size else b"186a0\r\n" + b"x" * 100_000 + b"\r\n")
        link.send(b"" if size else b"0\r\n\r\n")

    stage.serve(serve)
    failed = stage.balancer.log.count("node_failed")
    with (
        setting(stage, "client_write_timeout", "20s", "1s"),
        stage.open(make_request(CLOSE), receive_buffer=65536) as link,
    ):
        link.until(b"\r\n\r\n")
        time.sleep(3)
        total = 0
        while data := link.socket.recv(1 << 20):
            total += len(data)
    assert total >= 100_000_000 - 65536
    assert stage.balancer.log.count("node_failed") == failed


def test_node_keepalive_timeout_closes_idle_node_connections(stage: Stage) -> None:
    with in_time():
        stage.say(make_request(CLOSE))
        eventually(lambda: stage.node.open == 0)


def test_client_write_timeout_cuts_a_client_that_does_not_read(stage: Stage) -> None:
    def serve(link: Link, _: ScriptNode) -> None:
        read_request(link)
        link.send(b"HTTP/1.1 200 OK\r\n" + BIG + b"\r\n\r\n")
        send_until_refused(link)

    stage.serve(serve)
    with in_time(), stage.open(make_request(), receive_buffer=4096):
        assert stage.balancer.wait_for_log("reason=client_write_timeout")
        eventually(lambda: stage.clients() == 0, what="it is not cut")


def test_client_header_and_idle_timeouts_end_a_connection(stage: Stage) -> None:
    with in_time():
        assert stage.say(b"") == b""
    with in_time():
        assert stage.say(b"GET / HT").endswith(b"\nclient_header_timeout\n")
    with in_time():
        assert stage.say(make_request()).endswith(b"\r\n\r\nok")


def test_client_body_timeout_is_a_408(stage: Stage) -> None:
    with in_time():
        got = stage.say(make_request(b"Content-Length: 9", line=POST, body=b"x"))
    assert got.startswith(b"HTTP/1.1 408 ")
    assert got.endswith(b"\nclient_body_timeout\n")


@pytest.mark.parametrize("phase", ["request", "waiting", "response"])
def test_request_timeout_ends_a_request_in_any_phase(stage: Stage, phase: str) -> None:
    def serve(link: Link, _: ScriptNode) -> None:
        link.until(b"\r\n\r\n")
        if phase == "response":
            link.send(b"HTTP/1.1 200 OK\r\n" + BIG + b"\r\n\r\n")
        trickle(link, phase == "response")
        link.rest()

    def trickle(link: Link, on: bool) -> None:
        try:
            while on:
                link.send(b"x")
                time.sleep(0.1)
        except OSError:
            pass

    stage.serve(serve)
    fields = (BIG, CLOSE) if phase == "request" else (CLOSE,)
    with (
        setting(stage, "node_first_byte_timeout", "20s", "1s"),
        setting(stage, "request_timeout", "1s", "3600s"),
        in_time(),
        stage.open(make_request(*fields, line=POST)) as link,
    ):
        threading.Thread(target=trickle, args=(link, phase == "request"), daemon=True).start()
        got = link.rest()
    expected = {"request": b"HTTP/1.1 408 ", "waiting": b"HTTP/1.1 504 ", "response": b"HTTP/1.1 200 "}
    assert got.startswith(expected[phase])
    assert stage.balancer.wait_for_log("reason=request_timeout")


def test_tunnel_timeout_ends_a_silent_tunnel_and_no_other(stage: Stage) -> None:
    def serve(link: Link, _: ScriptNode) -> None:
        read_request(link)
        link.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        while data := link.take(1):
            link.send(data)

    stage.serve(serve)
    with stage.open(make_request(b"Connection: Upgrade", b"Upgrade: websocket")) as link:
        link.until(b"\r\n\r\n")
        for _ in range(15):
            link.send(b"x")
            assert link.take(1) == b"x"
            time.sleep(0.1)
        with in_time():
            link.send(b"x")
            assert link.rest() == b"x"
    eventually(lambda: stage.node.open == 0)
    assert stage.balancer.wait_for_log("reason=tunnel_timeout")


def test_a_limit_that_is_changed_holds_for_the_next_request(stage: Stage) -> None:
    def serve(link: Link, _: ScriptNode) -> None:
        read_request(link)
        time.sleep(2)
        link.send(answer(b"late"))

    stage.serve(serve)
    with setting(stage, "node_first_byte_timeout", "20s", "1s"):
        assert stage.say(make_request(CLOSE)).endswith(b"\r\n\r\nlate")
