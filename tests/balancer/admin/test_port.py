"""Admin ports in this process: who is let in, who makes room, and what a mistake of ours does."""

from collections.abc import Callable, Iterator, Mapping
from threading import Event
from typing import Any

import gevent
import pytest
from gevent import socket

from tests.balancer.stage import Stage
from wsgistack.balancer.admin import port as module
from wsgistack.balancer.admin.port import AdminPorts
from wsgistack.balancer.admin.web_server import Pages
from wsgistack.balancer.events import Log
from wsgistack.balancer.language.replies import Reply
from wsgistack.balancer.language.session import Session
from wsgistack.settings import Value

TOKEN = "the-administrator"
PATIENCE_S = 20.0


class Place:
    """The manual's admin port on a real socket; it is its own desk."""

    def __init__(self) -> None:
        self.stage = Stage()
        self.stage.make_site()
        self.logged: list[str] = []
        self.ports = AdminPorts(self, Log(self.logged.append))
        listening = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.address = listening.getsockname()
        self.stop: Callable[[], None] = self.ports.serve("admin", listening)

    def settings(self, service: str) -> Mapping[str, Value]:
        return self.stage.control.service(service).settings

    def perform(self, line: str, session: Session) -> Reply:
        if line == "break":
            raise ZeroDivisionError("a mistake of ours")
        return self.stage.control.run(line, session, 0.0)

    def state(self) -> dict[str, Any]:
        raise ZeroDivisionError("a mistake of ours")

    def metrics(self, accept: str) -> tuple[bytes, str]:
        return b"m 1\n" * 4_000_000, "text/plain"

    def unready(self) -> str:
        return ""

    def connect(self, data: bytes = b"") -> Any:
        """Return a connection that has sent *data*."""
        sock = socket.create_connection(self.address, timeout=PATIENCE_S)
        sock.sendall(data)
        return sock

    def talk(self, data: bytes) -> bytes:
        """Return all that is answered to *data*."""
        sock = self.connect(data)
        sock.shutdown(socket.SHUT_WR)
        return read(sock)


def read(sock: Any) -> bytes:
    """Return what comes until the end."""
    got = b""
    with sock:
        try:
            while more := sock.recv(65536):
                got += more
        except ConnectionResetError:
            pass
    return got


@pytest.fixture
def place() -> Iterator[Place]:
    """A place that is closed after the test."""
    place = Place()
    yield place
    place.stop()
    place.ports.close()


def test_a_crowd_that_says_nothing_makes_room(place: Place) -> None:
    crowd = [place.connect() for _ in range(200)]
    assert place.talk(b"show pool\n") == b"mypool nodes 2\r\nmypool services 1\r\n.\r\n"
    assert len(place.ports.rows(0.0)) <= 64
    assert place.logged == []
    for sock in crowd:
        sock.close()


def test_strangers_make_room_where_a_token_is_needed_whatever_they_say(place: Place) -> None:
    place.stage.do(f"SET admin.admin_token = {TOKEN}")
    operator = place.connect(f"auth {TOKEN}\n".encode())
    assert operator.recv(100) == b"OK\r\n"
    half = b"POST /admin/run HTTP/1.1\r\nHost: localhost\r\nX-A: b\r\n"
    crowd = [place.connect(half) for _ in range(200)]
    gevent.sleep(0)
    operator.sendall(b"show pool\nquit\n")
    assert read(operator) == b"mypool nodes 2\r\nmypool services 1\r\n.\r\n"
    assert b" 200 " in place.talk(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    for sock in crowd:
        sock.close()


def test_who_is_in_is_not_turned_out_and_the_next_one_is_told(place: Place) -> None:
    inside = [place.connect(b"use mypool\n") for _ in range(64)]
    assert [sock.recv(100) for sock in inside] == [b"OK\r\n"] * 64
    assert read(place.connect()) == b"ERROR: 64 admin sessions are open already\r\n"
    for sock in inside:
        sock.sendall(b"quit\n")
        assert read(sock) == b""
    assert place.talk(b"use mypool\n") == b"OK\r\n"


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        (b"delete pool nope", b"ERROR: Pool 'nope' not found\r\n"),
        (b"DELETE SERVICE nope", b"ERROR: service 'nope' does not exist\r\n"),
        (rb"SET mypool.health_send = GET / HTTP/1.0\r\n\r\n", b"OK\r\n"),
        (b"HEADER mysite INSERT X-Seen: over HTTP/1.1", b"OK\r\n"),
        (b"DELETE /admin/run", b"HTTP/1.1 400 Bad Request\r\n"),
        (b"delete * HTTP/1.1\r\nHost: a\r\n", b"HTTP/1.1 403 "),
        (b"POST anything", b"HTTP/1.1 400 Bad Request\r\n"),
        (b"SET /mypool=x HTTP/1.1\r\nHost: a\r\n", b"HTTP/1.1 "),
    ],
)
def test_a_command_is_not_taken_for_a_request_nor_a_request_for_a_command(
    place: Place, line: bytes, reply: bytes
) -> None:
    assert place.talk(line + b"\n")[: len(reply)] == reply


def test_where_a_token_is_needed_silence_has_an_end(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "OPENING_LIMIT_S", 0.05)
    place.stage.do(f"SET admin.admin_token = {TOKEN}")
    assert read(place.connect(b"auth ")) == b""
    assert place.ports.rows(0.0) == []


def test_a_mistake_of_ours_is_told_and_logged_and_ends_nothing(place: Place) -> None:
    assert place.talk(b"break\nuse mypool\n") == b"ERROR: internal error, the log says more\r\nOK\r\n"
    assert b" 500 " in place.talk(b"GET /admin/state HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert place.talk(b"use mypool\n") == b"OK\r\n"
    assert [" error admin_failed " in line and "ZeroDivisionError" in line for line in place.logged] == [
        True
    ] * 2
    assert "word=break" in place.logged[0]


def test_a_reader_that_does_not_read_is_left(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wsgistack.balancer.admin.web_server.REQUEST_LIMIT_S", 0.2)
    sock = place.connect(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
    with gevent.Timeout(PATIENCE_S):
        while not place.ports.rows(0.0):
            gevent.sleep(0.01)
        while place.ports.rows(0.0):
            gevent.sleep(0.01)
    assert len(read(sock)) < 16_000_000
    assert place.logged == []


def test_what_http_needs_is_there_a_moment_after_the_start_though_nobody_asked(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    monkeypatch.setattr(module, "LOAD_AFTER_S", 0.0)
    imported = Event()

    def import_pages() -> type[Pages]:
        imported.set()
        return Pages

    monkeypatch.setattr(module, "_import_pages", import_pages)
    ports = AdminPorts(place, Log(place.logged.append))
    stop = ports.serve("admin", listening)
    with gevent.Timeout(PATIENCE_S):
        while not imported.is_set():
            gevent.sleep(0.01)
    stop()
    ports.close()
