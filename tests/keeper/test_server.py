"""The server for workers: what a WSGI application says becomes a response, and failures stay apart."""

import errno
import gc
import socket as plain_socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from gevent import socket

from wsgistack.keeper.replies import Malformed, Reply, Stream, read_reply
from wsgistack.keeper.server import Server
from wsgistack.keeper.wire import Wire

DATE = ("Date", "Sun, 06 Nov 1994 08:49:37 GMT")
GET = b"GET / HTTP/1.1\r\n\r\n"
MUCH = 3_000_000  # more than the kernel takes at once

App = Callable[[dict[str, Any], Any], Iterable[bytes]]


class Scene:
    """A server for one application, and one connection to it."""

    def __init__(self, path: Path) -> None:
        self.told: list[dict[str, Any]] = []
        self.server = Server(str(path), lambda environ, start: [], self._tell)
        self.server.start()
        self.link = socket.socket(plain_socket.AF_UNIX, plain_socket.SOCK_STREAM)
        self.link.settimeout(10)
        self.link.connect(str(path))
        self.stream = Stream(self.link.recv)

    def _tell(self, event: str, **fields: Any) -> None:
        fields.pop("trace", None)
        self.told.append({"event": event, **fields})

    def say(self, raw: bytes = GET) -> Reply:
        """Send a request, and return the response, whose body is to come."""
        self.link.sendall(raw)
        return read_reply(self.stream, raw.partition(b" ")[0].decode())

    def close(self) -> None:
        """Leave nothing behind: the server's end of the connection is closed too."""
        with suppress(OSError):
            self.link.shutdown(plain_socket.SHUT_WR)
            while self.link.recv(65_536):
                pass
        self.link.close()
        self.server.stop()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path / "k")
    yield scene
    scene.close()


def answering(body: Iterable[bytes], *fields: tuple[str, str], status: str = "200 OK") -> App:
    """Return an application that answers this, with a date."""

    def app(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        start(status, [DATE, *fields])
        return body

    return app


@pytest.mark.parametrize(
    ("body", "fields", "told"),
    [
        ([b"ab", b"c"], [], [DATE, ("Content-Length", "3")]),
        (iter([b"ab", b"", b"c"]), [], [DATE]),
        (iter([b"ab", b"c"]), [("Content-Length", "3")], [DATE, ("Content-Length", "3")]),
    ],
    ids=["its length is counted", "in chunks", "its length was told"],
)
def test_a_body_is_framed_by_what_is_known_of_it(scene: Scene, body: Any, fields: Any, told: Any) -> None:
    scene.server.change(answering(body, *fields))
    reply = scene.say()
    assert (reply.head.fields, b"".join(reply.blocks)) == (told, b"abc")
    scene.server.change(answering([b"next"]))
    assert b"".join(scene.say().blocks) == b"next"


@pytest.mark.parametrize(
    ("raw", "status", "body"),
    [(b"HEAD / HTTP/1.1\r\n\r\n", "200 OK", b"abc"), (GET, "304 Not Modified", b""), (GET, "204 No Content", b"x")],
    ids=["HEAD", "304", "204"],
)  # fmt: skip
def test_what_has_no_body_has_no_length_of_our_own(
    scene: Scene, raw: bytes, status: str, body: bytes
) -> None:
    scene.server.change(answering([body], status=status))
    reply = scene.say(raw)
    assert (reply.head.fields, list(reply.blocks)) == ([DATE], [])
    scene.server.change(answering([b"next"]))
    assert b"".join(scene.say().blocks) == b"next"


def test_a_response_without_a_date_gets_one(scene: Scene) -> None:
    def app(environ: dict[str, Any], start: Any) -> list[bytes]:
        start("200 OK", [])
        return []

    scene.server.change(app)
    ((name, value), length) = scene.say().head.fields
    assert (name, value[-4:], length) == ("Date", " GMT", ("Content-Length", "0"))


def test_what_an_application_writes_comes_before_its_body(scene: Scene) -> None:
    def app(environ: dict[str, Any], start: Any) -> list[bytes]:
        start("200 OK", [DATE])(b"a")
        return [b"b"]

    scene.server.change(app)
    assert b"".join(scene.say().blocks) == b"ab"


def test_a_body_larger_than_the_kernel_takes_comes_whole_both_ways(scene: Scene) -> None:
    def echo(environ: dict[str, Any], start: Any) -> list[bytes]:
        body = b"".join(iter(environ["wsgi.input"].read, b""))
        start("200 OK", [DATE])
        return [body]

    body = bytes(range(250)) * (MUCH // 250)
    scene.server.change(echo)
    reply = scene.say(b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % MUCH + body)
    assert b"".join(reply.blocks) == body


def test_what_nobody_reads_of_a_request_is_read_before_the_next(scene: Scene) -> None:
    scene.server.change(answering([b"one"]))
    scene.link.sendall(b"POST / HTTP/1.1\r\nContent-Length: 200000\r\n\r\n" + b"x" * 200_000 + GET)
    assert [b"".join(read_reply(scene.stream, "GET").blocks) for _ in range(2)] == [b"one", b"one"]


def fail(environ: dict[str, Any], start: Any) -> list[bytes]:
    """Fail before anything is said."""
    raise RuntimeError("broken")


def split(environ: dict[str, Any], start: Any) -> list[bytes]:
    """Answer with two fields in one."""
    start("200 OK", [("A", "b\r\nSet-Cookie: c")])
    return [b""]


@pytest.mark.parametrize("app", [fail, split], ids=["it raises", "a field with a line break"])
def test_an_application_that_fails_is_told_and_answered_for(scene: Scene, app: App) -> None:
    scene.server.change(app)
    reply = scene.say()
    assert (reply.head.status, reply.head.keeps) == (502, False)
    assert b"".join(reply.blocks) == b"502 Bad Gateway\ncache-failed\n"
    assert [(one["event"], one["target"]) for one in scene.told] == [("cache_failed", "/")]
    assert scene.link.recv(1) == b""


def test_a_body_that_breaks_off_ends_the_connection(scene: Scene) -> None:
    def body() -> Iterator[bytes]:
        yield b"ab"
        raise RuntimeError("broken")

    scene.server.change(answering(body()))
    with pytest.raises(Malformed, match="cut-short"):
        b"".join(scene.say().blocks)
    assert scene.told[0]["error"] == "RuntimeError('broken')"


def test_a_worker_that_left_is_nothing_to_tell(scene: Scene) -> None:
    def app(environ: dict[str, Any], start: Any) -> list[bytes]:
        raise OSError(errno.EPIPE, "gone")

    scene.server.change(app)
    scene.link.sendall(GET)
    assert (scene.link.recv(1), scene.told) == (b"", [])


def test_garbage_is_answered_and_the_connection_closed(scene: Scene) -> None:
    reply = scene.say(b"SSH-2.0\r\n\r\n")
    assert (reply.head.status, scene.link.recv(1)) == (400, b"")


def test_a_body_is_closed_once_and_late_interim_responses_are_for_nobody(scene: Scene) -> None:
    closed: list[str] = []

    class Body:
        def __iter__(self) -> Iterator[bytes]:
            yield b"abc"

        def close(self) -> None:
            closed.append("closed")

    def app(environ: dict[str, Any], start: Any) -> Body:
        pass_interim = environ["wsgistack.interim"]
        pass_interim(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        start("200 OK", [DATE, ("Content-Length", "3")])(b"")
        pass_interim(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        return Body()

    scene.server.change(app)
    passed: list[bytes] = []
    scene.link.sendall(GET)
    reply = read_reply(scene.stream, "GET", passed.append)
    assert (b"".join(reply.blocks), closed, len(passed)) == (b"abc", ["closed"], 1)


def test_a_request_leaves_nothing_to_the_garbage_collector(scene: Scene) -> None:
    def app(environ: dict[str, Any], start: Any) -> Iterator[bytes]:
        start("200 OK", [DATE])
        yield b"a"
        environ["wsgistack.interim"](b"")

    scene.server.change(app)
    b"".join(scene.say().blocks)
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        b"".join(scene.say().blocks)
        gc.collect()
        left = [type(one).__name__ for one in gc.garbage]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
    assert "_Reply" not in left


def test_a_wire_gives_what_comes_until_the_end() -> None:
    one, other = plain_socket.socketpair()
    wire = Wire(one)
    other.sendall(b"abcde")
    assert [wire.receive(2), wire.receive(2), wire.receive(2)] == [b"ab", b"cd", b"e"]
    other.close()
    assert wire.receive(2) == b""
    wire.close()
