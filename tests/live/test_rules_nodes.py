"""Rules 40-44 of tests/live/rules.py by raw bytes: nodes that refuse, reset, close and recover."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.live.link import Link, ScriptNode, answer, keep_requests, read_request
from tests.live.processes import Backend, choose_port, eventually
from tests.live.stage import Stage, make_request

SETTINGS = "SET buffer_backend_connect = 0"
CLOSE = b"Connection: close"
POST = b"POST / HTTP/1.1"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    made = Stage(tmp_path_factory.mktemp("rules"), SETTINGS)
    yield made
    made.end()


@pytest.fixture
def stage(whole: Stage) -> Stage:
    whole.serve(keep_requests)
    return whole


@pytest.mark.rule(40)
@pytest.mark.parametrize("method", [b"POST", b"PATCH", b"MKCOL"])
@pytest.mark.parametrize("how", ["close", "reset", "part of a head", "500"])
def test_a_request_with_an_effect_is_sent_once(stage: Stage, method: bytes, how: str) -> None:
    def serve(link: Link, node: ScriptNode) -> None:
        node.received.append(read_request(link))
        if how == "reset":
            link.reset()
        elif how == "part of a head":
            link.send(b"HTTP/1.1 200 OK\r\nContent-")
        elif how == "500":
            link.send(answer(status=b"500 Oops"))

    stage.serve(serve)
    got = stage.say(make_request(CLOSE, b"Content-Length: 2", line=method + b" / HTTP/1.1", body=b"hi"))
    assert got.startswith(b"HTTP/1.1 500 " if how == "500" else b"HTTP/1.1 502 ")
    assert len(stage.node.received) == 1


@pytest.mark.rule(41)
@pytest.mark.parametrize("how", ["reset", "close"])
def test_connections_that_close_while_they_are_reused_cost_no_get(stage: Stage, how: str) -> None:
    # Each connection serves one request well and dies, without an answer, when a second comes: what a
    # node's keep-alive time-out does at the worst moment.
    def serve(link: Link, node: ScriptNode) -> None:
        read_request(link)
        link.send(answer())
        link.until(b"\r\n\r\n")
        if how == "reset":
            link.reset()

    stage.serve(serve)
    with ExitStack() as stack:
        links = [stack.enter_context(stage.open()) for _ in range(40)]
        for _ in range(3):
            for link in links:
                link.send(make_request())
            assert [link.response()[0] for link in links] == [200] * 40


@pytest.mark.rule(41)
def test_idle_connections_closed_all_at_once_cost_nothing(stage: Stage) -> None:
    all_open = threading.Barrier(60)
    may_close = threading.Event()

    def serve(link: Link, node: ScriptNode) -> None:
        request = read_request(link)
        node.received.append(request)
        if b"/first" in request.head:
            all_open.wait(20)
            link.send(answer())
            may_close.wait(20)
        else:
            link.send(answer())

    stage.serve(serve)
    with ExitStack() as stack:
        first = make_request(line=b"GET /first HTTP/1.1")
        links = [stack.enter_context(stage.open(first)) for _ in range(60)]
        assert [link.response()[0] for link in links] == [200] * 60
        may_close.set()
        for number, link in enumerate(links):
            link.send(make_request(b"Content-Length: 0", line=POST) if number % 2 else make_request())
        statuses = [link.response()[0] for link in links]
    assert statuses[::2] == [200] * 30
    # A POST may meet the very moment of the close; what it must not do is to be lost in silence or sent twice.
    assert set(statuses[1::2]) <= {200, 502}
    assert sum(request.lines[0] == POST for request in stage.node.received) <= 30


@pytest.mark.rule(42)
@pytest.mark.parametrize("method", [b"GET", b"POST"])
def test_a_node_that_refuses_is_passed_over_whatever_the_method(stage: Stage, method: bytes) -> None:
    nobody = f"127.0.0.1:{choose_port()}"
    stage.balancer.admin(f"pool mypool add {nobody}")
    try:
        for _ in range(12):
            got = stage.say(
                make_request(CLOSE, b"Content-Length: 2", line=method + b" / HTTP/1.1", body=b"hi")
            )
            assert got.startswith(b"HTTP/1.1 200 ")
    finally:
        stage.balancer.admin(f"pool mypool remove {nobody}")
    assert len(stage.node.received) == 12


@pytest.mark.rule(43)
@pytest.mark.parametrize("how", ["waiting", "reading"])
def test_a_client_that_goes_cancels_its_request(stage: Stage, how: str) -> None:
    cancelled = threading.Event()
    began = threading.Event()

    def serve(link: Link, _: ScriptNode) -> None:
        read_request(link)
        if how == "reading":
            link.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\nx")
        began.set()
        link.rest()
        cancelled.set()

    stage.serve(serve)
    link = stage.open(make_request())
    assert began.wait(10)
    if how == "reading":
        link.until(b"\r\n\r\nx")
    link.reset()
    assert cancelled.wait(10)


@pytest.mark.rule(44)
def test_the_last_node_is_never_given_up(stage: Stage) -> None:
    def serve(link: Link, _: ScriptNode) -> None:
        read_request(link)
        link.reset()

    stage.serve(serve)
    for _ in range(30):
        assert stage.say(make_request(CLOSE)).startswith(b"HTTP/1.1 502 ")
    stage.serve(keep_requests)
    eventually(lambda: stage.say(make_request(CLOSE)).startswith(b"HTTP/1.1 200 "), within_s=8)


@pytest.mark.rule(44)
def test_a_node_that_resets_is_passed_over(stage: Stage) -> None:
    def serve(link: Link, _: ScriptNode) -> None:
        read_request(link)
        link.reset()

    sound = Backend("sound").start()
    stage.serve(serve)
    stage.balancer.admin(f"pool mypool add {sound.address}")
    try:
        for _ in range(30):
            assert stage.say(make_request(CLOSE)).startswith(b"HTTP/1.1 200 ")
    finally:
        stage.balancer.admin(f"pool mypool remove {sound.address}")
        sound.kill()
