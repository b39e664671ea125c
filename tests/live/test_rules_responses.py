"""Rules 28-38 of tests/live/rules.py by raw bytes: what comes back, and upgrades."""

import os
import signal
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.live.link import Link, ScriptNode, answer, answering, keep_requests, read_request
from tests.live.processes import eventually
from tests.live.stage import Stage, make_request

SETTINGS = "SET buffer_backend_connect = 0\nSET node_first_byte_timeout = 5s"
CLOSE = b"Connection: close"
POST = b"POST / HTTP/1.1"
OLD = b"GET / HTTP/1.0"
UPGRADE = (
    b"Connection: Upgrade",
    b"Upgrade: websocket",
    b"Sec-WebSocket-Key: x",
    b"Sec-WebSocket-Version: 13",
)
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

Serve = Callable[[Link, ScriptNode], None]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    made = Stage(tmp_path_factory.mktemp("rules"), SETTINGS)
    yield made
    made.end()


@pytest.fixture
def stage(whole: Stage) -> Stage:
    whole.serve(keep_requests)
    return whole


# Upgrades ---------------------------------------------------------------------------------


@pytest.mark.rule(28)
def test_h2c_and_an_upgrade_with_a_body_are_plain_requests(stage: Stage) -> None:
    stage.say(
        make_request(b"Connection: Upgrade, HTTP2-Settings, close", b"Upgrade: h2c", b"HTTP2-Settings: AAMA")
    )
    stage.say(make_request(*UPGRADE, CLOSE, b"Content-Length: 2", line=POST, body=b"hi"))
    assert len(stage.node.received) == 2
    for request in stage.node.received:
        assert b"upgrade" not in request.head.lower()
        assert b"http2-settings" not in request.head.lower()


@pytest.mark.rule(28)
def test_a_refused_upgrade_stays_http(stage: Stage) -> None:
    stage.serve(answering(answer(b"no", status=b"403 Forbidden")))
    with stage.open(make_request(*UPGRADE)) as link:
        assert link.response()[::2] == (403, b"no")
        link.send(make_request(line=b"GET /next HTTP/1.1"))
        assert link.response()[::2] == (403, b"no")
    assert stage.node.received[1].lines[0] == b"GET /next HTTP/1.1"


@pytest.mark.rule(28)
def test_a_101_that_nobody_asked_for_is_502(stage: Stage) -> None:
    stage.serve(answering(SWITCH))
    assert stage.say(make_request(CLOSE)).startswith(b"HTTP/1.1 502 ")


def tunnel(first: bytes, then: Serve) -> Serve:
    """Serve an upgrade: the 101 and *first* in one segment, then what *then* does."""

    def serve(link: Link, node: ScriptNode) -> None:
        node.received.append(read_request(link))
        link.send(SWITCH + first)
        then(link, node)

    return serve


def echo(link: Link, _: ScriptNode) -> None:
    while data := link.take(1):
        link.send(data)


@pytest.mark.rule(29)
def test_a_tunnel_passes_the_first_bytes_and_all_others_untouched(stage: Stage) -> None:
    stage.serve(tunnel(b"\x00\r\n\r\nHTTP/1.1 first", echo))
    with stage.open(make_request(*UPGRADE) + b"early\x00\xff") as link:
        head = link.until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ")
        assert b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" in head
        assert link.take(19) == b"\x00\r\n\r\nHTTP/1.1 first"
        assert link.take(7) == b"early\x00\xff"
        for piece in (b"GET / HTTP/1.1\r\n\r\n", bytes(range(256)) * 40):
            link.send(piece)
            assert link.take(len(piece)) == piece
    assert b"Sec-WebSocket-Key: x" in stage.node.received[0].lines


@pytest.mark.rule(29)
def test_the_end_of_a_client_reaches_the_node_and_its_last_words_the_client(stage: Stage) -> None:
    def last_words(link: Link, _: ScriptNode) -> None:
        link.send(b"got " + link.rest())

    stage.serve(tunnel(b"", last_words))
    with stage.open(make_request(*UPGRADE)) as link:
        link.until(b"\r\n\r\n")
        link.send(b"bye")
        link.finish()
        assert link.rest() == b"got bye"


@pytest.mark.rule(29)
def test_the_end_of_a_node_reaches_the_client_and_its_last_words_the_node(stage: Stage) -> None:
    heard: list[bytes] = []

    def finish(link: Link, _: ScriptNode) -> None:
        link.finish()
        heard.append(link.rest())

    stage.serve(tunnel(b"that is all", finish))
    with stage.open(make_request(*UPGRADE)) as link:
        link.until(b"\r\n\r\n")
        assert link.rest() == b"that is all"
        link.send(b"understood")
        link.finish()
        eventually(lambda: heard == [b"understood"])


@pytest.mark.rule(29)
@pytest.mark.parametrize("who", ["client", "node"])
def test_a_reset_of_either_side_ends_a_tunnel(stage: Stage, who: str) -> None:
    over = threading.Event()

    def serve(link: Link, _: ScriptNode) -> None:
        if who == "node":
            link.take(1)
            link.reset()
        else:
            link.rest()
            over.set()

    stage.serve(tunnel(b"", serve))
    with stage.open(make_request(*UPGRADE)) as link:
        link.until(b"\r\n\r\n")
        link.send(b"x")
        if who == "node":
            assert link.rest() == b""
        else:
            link.reset()
            assert over.wait(10)


@pytest.mark.rule(29)
def test_a_tunnel_ends_whose_node_is_reset_while_bytes_for_it_are_on_their_way(stage: Stage) -> None:
    sent, gone = threading.Event(), threading.Event()

    def serve(link: Link, _: ScriptNode) -> None:
        sent.wait(20)
        link.reset()
        gone.set()

    stage.serve(tunnel(b"", serve))
    with stage.open(make_request(*UPGRADE)) as link:
        link.until(b"\r\n\r\n")
        os.kill(stage.workers[0], signal.SIGSTOP)  # so that it meets both at once, the bytes first
        try:
            link.send(b"x")
            sent.set()
            assert gone.wait(20)
        finally:
            os.kill(stage.workers[0], signal.SIGCONT)
        assert link.rest() == b""
    eventually(lambda: stage.clients() == 0, what="the tunnel is still there")


# Interim responses, Expect, no body -------------------------------------------------------


def interim(count: int) -> bytes:
    return (
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * count
        + b"HTTP/1.1 102 Processing\r\n\r\n"
        + answer()
    )


@pytest.mark.rule(30)
def test_interim_responses_go_to_a_1_1_client(stage: Stage) -> None:
    stage.serve(answering(interim(2)))
    got = stage.say(make_request(CLOSE))
    assert [part[:3] for part in got.split(b"HTTP/1.1 ")[1:]] == [b"103", b"103", b"102", b"200"]
    assert got.count(b"Link: </a>\r\n\r\n") == 2


@pytest.mark.rule(30)
def test_interim_responses_without_end_are_cut(stage: Stage) -> None:
    stage.serve(answering(interim(100)))
    got = stage.say(make_request(CLOSE))
    assert 0 < got.count(b"HTTP/1.1 103 ") <= 16
    assert b"HTTP/1.1 200 " not in got


@pytest.mark.rule(30)
@pytest.mark.parametrize(("count", "status"), [(3, b"200"), (100, b"502")])
def test_interim_responses_never_go_to_a_1_0_client(stage: Stage, count: int, status: bytes) -> None:
    stage.serve(answering(interim(count)))
    got = stage.say(make_request(line=OLD))
    assert got.startswith(b"HTTP/1.1 " + status)
    assert got.count(b"HTTP/1.1 ") == 1


@pytest.mark.rule(31)
def test_a_final_status_instead_of_100_reaches_the_client_and_closes(stage: Stage) -> None:
    def serve(link: Link, node: ScriptNode) -> None:
        link.until(b"\r\n\r\n")
        link.send(answer(b"no", status=b"413 Content Too Large"))
        link.rest()

    stage.serve(serve)
    with stage.open(make_request(b"Expect: 100-continue", b"Content-Length: 100000", line=POST)) as link:
        assert link.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        status, head, body = link.response()
        assert (status, body) == (413, b"no")
        assert b"Connection: close\r\n" in head
        assert link.rest() == b""


@pytest.mark.rule(32, 36)
@pytest.mark.parametrize(
    ("method", "head"),
    [
        (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
        (b"GET", b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ],
    ids=["HEAD", "204", "304", "304 chunked"],
)
def test_a_response_without_a_body_has_none_and_stray_bytes_answer_nobody(
    stage: Stage, method: bytes, head: bytes
) -> None:
    def serve(link: Link, node: ScriptNode) -> None:
        request = read_request(link)
        node.received.append(request)
        stray = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
        link.send(head + stray if b"/first" in request.head else answer(b"good"))
        link.rest()

    stage.serve(serve)
    with stage.open(make_request(line=method + b" /first HTTP/1.1")) as link:
        got = link.until(b"\r\n\r\n")
        assert got.split(b" ")[1] == head.split(b" ")[1]
        assert (b"Content-Length" in got) == (b"204" not in got and b"Content-Length" in head)
        link.send(make_request(line=b"GET /second HTTP/1.1"))
        assert link.response()[::2] == (200, b"good")
    assert stage.node.connections >= 2


@pytest.mark.rule(32, 36)
@pytest.mark.parametrize(
    ("method", "head"),
    [
        (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
        (b"HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        (b"HEAD", b"HTTP/1.1 200 OK\r\n\r\n"),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
        (b"GET", b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ],
    ids=["HEAD", "HEAD chunked", "HEAD without a length", "304", "204 chunked"],
)
def test_a_body_that_comes_late_where_none_may_be_answers_nobody(
    stage: Stage, method: bytes, head: bytes
) -> None:
    def serve(link: Link, _: ScriptNode) -> None:
        if b"/first" not in read_request(link).head:
            link.send(answer(b"good"))
            return
        link.send(head)
        read_request(link)  # the balancer must not come here with the next one
        link.send(answer(b"evil"))

    stage.serve(serve)
    with stage.open(make_request(line=method + b" /first HTTP/1.1")) as link:
        link.until(b"\r\n\r\n")
        link.send(make_request(line=b"GET /second HTTP/1.1"))
        assert link.response()[::2] == (200, b"good")


# Bodies of responses ----------------------------------------------------------------------


@pytest.mark.rule(35)
@pytest.mark.parametrize("how", ["close", "reset", "bad chunk"])
@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_half_a_response_never_looks_whole(stage: Stage, framing: str, how: str) -> None:
    chunked = framing == "chunks" or how == "bad chunk"
    field = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: 100"
    may_end = threading.Event()

    def serve(link: Link, _: ScriptNode) -> None:
        read_request(link)
        link.send(b"HTTP/1.1 200 OK\r\n" + field + b"\r\n\r\n" + (b"5\r\nhello\r\n" if chunked else b"hello"))
        may_end.wait(10)
        if how == "reset":
            link.reset()
        elif how == "bad chunk":
            link.send(b"zz\r\n")

    stage.serve(serve)
    with stage.open(make_request()) as link:
        head = link.until(b"hello")
        may_end.set()
        rest = link.rest()
    assert head.startswith(b"HTTP/1.1 200 ")
    assert rest in ((b"\r\n",) if chunked else (b"",))


@pytest.mark.rule(36)
def test_bytes_beyond_a_response_answer_nobody(stage: Stage) -> None:
    stage.serve(answering(answer(b"one") + answer(b"evil")))
    with stage.open() as link:
        for _ in range(5):
            link.send(make_request())
            assert link.response()[::2] == (200, b"one")
    assert stage.node.connections >= 5


@pytest.mark.rule(36)
def test_what_an_idle_node_connection_says_answers_nobody(stage: Stage) -> None:
    idle: list[Link] = []

    def serve(link: Link, _: ScriptNode) -> None:
        read_request(link)
        idle.append(link)
        link.send(answer(b"good"))
        assert link.rest() == b""

    stage.serve(serve)
    with stage.open() as link:
        for number in range(5):
            link.send(make_request())
            assert link.response()[::2] == (200, b"good")
            idle[number].send(answer(b"evil"))
            eventually(lambda: stage.node.open == 0, what="the connection is kept")


@pytest.mark.rule(37)
@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\nX-Sum: 1\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: binary\r\n\r\nhello",
    ],
    ids=["chunks", "until close", "until close under a made-up coding"],
)
def test_each_client_gets_a_framing_that_it_knows(stage: Stage, data: bytes) -> None:
    stage.serve(answering(data, close=True))
    old = stage.say(make_request(b"Connection: keep-alive", line=OLD))
    assert b"Transfer-Encoding" not in old
    assert b"Connection: close\r\n" in old
    assert old.endswith(b"\r\n\r\nhello")
    with stage.open(make_request()) as link:
        assert b"Transfer-Encoding: chunked\r\n" in link.until(b"\r\n\r\n")
        body = link.until(b"0\r\n")
        link.until(b"\r\n")
        assert b"".join(body.split(b"\r\n")[1::2]) == b"hello"


@pytest.mark.rule(38)
def test_an_early_response_is_delivered_and_its_connections_are_not_reused(stage: Stage) -> None:
    def serve(link: Link, node: ScriptNode) -> None:
        link.until(b"\r\n\r\n")
        link.send(answer(b"enough", status=b"403 Forbidden"))
        link.rest()

    stage.serve(serve)
    with stage.open(make_request(b"Content-Length: 500000", line=POST, body=b"x" * 100000)) as link:
        status, head, body = link.response()
        assert (status, body) == (403, b"enough")
        assert b"Connection: close\r\n" in head
        link.send(b"x" * 100000)  # read and dropped, so that the answer is not lost in a reset
        assert link.rest() == b""
    eventually(lambda: stage.node.open == 0, what="the node's connection is kept")
