"""Checks against real sockets and programs: bounded in time and bytes, whatever is there."""

import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import gevent
import pytest
from gevent.server import StreamServer

from wsgistack.balancer.examine import perform
from wsgistack.balancer.model import HealthCheck, ProbeResult
from wsgistack.balancer.pool_settings import POOL_SETTINGS

Serve = Callable[[Callable[[socket.socket], None]], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A function (what to do with a connection) -> the address of a node that does it."""
    servers: list[StreamServer] = []

    def start(handle: Callable[[socket.socket], None]) -> str:
        def quietly(connection: socket.socket, _: object) -> None:
            with suppress(OSError):
                handle(connection)

        servers.append(StreamServer(("127.0.0.1", 0), quietly))
        servers[-1].start()
        return f"127.0.0.1:{servers[-1].server_port}"

    yield start
    for server in servers:
        server.stop(timeout=0)


def check(kind: str, connect: str, **chosen: str) -> ProbeResult:
    settings = POOL_SETTINGS.defaults() | {"health_timeout": 0.5}
    for name, value in chosen.items():
        settings[name] = POOL_SETTINGS.parse(name, value)
    return perform(HealthCheck(kind, "mypool", connect, settings))


def answer(data: bytes) -> Callable[[socket.socket], None]:
    def handle(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(data)
        connection.close()

    return handle


def hold(connection: socket.socket) -> None:
    while connection.recv(4096):
        pass


def stream(head: bytes, piece: bytes, *, pause_s: float = 0.0) -> Callable[[socket.socket], None]:
    def handle(connection: socket.socket) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(piece)
            gevent.sleep(pause_s)

    return handle


def test_a_node_that_accepts_passes(serve: Serve) -> None:
    node = serve(hold)
    assert check("tcp", node) == ProbeResult("mypool", node, True)


@pytest.mark.parametrize("kind", ["tcp", "http"])
def test_a_node_that_is_not_there_is_told_apart(kind: str, tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        node = f"127.0.0.1:{unused.getsockname()[1]}"
        assert check(kind, node) == ProbeResult("mypool", node, False, "Connection refused", True)
    gone = check(kind, f"unix:{tmp_path}/gone")
    assert (gone.detail, gone.refused) == ("No such file or directory", True)


def test_a_node_that_swallows_the_connection_is_not_dead() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        where = full.getsockname()
        fillers = []
        for _ in range(4):
            fillers.append(socket.socket())
            fillers[-1].setblocking(False)
            fillers[-1].connect_ex(where)
        began = time.monotonic()
        result = check("tcp", f"127.0.0.1:{where[1]}")
        assert (result.detail, result.refused) == ("no answer within 0.5 s", False)
        assert time.monotonic() - began < 20
        for filler in fillers:
            filler.close()


def test_a_question_gets_its_answer(serve: Serve) -> None:
    def echo(connection: socket.socket) -> None:
        connection.sendall(connection.recv(4096).swapcase())

    assert check("tcp", serve(echo), health_send="ping\\n", health_expect="PING\\n").ok
    wrong = check("tcp", serve(answer(b"ERROR\r\n")), health_send="ping\\n", health_expect="PING")
    assert (wrong.ok, wrong.detail) == (False, "answer does not contain 'PING'")


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("behaviour", "detail"),
    [
        (answer(OK + b"Content-Length: 2\r\n\r\nok"), ""),
        (answer(b"HTTP/1.1 503 Busy\r\n\r\n"), "status 503"),
        (answer(b"garbage\r\n\r\n"), "no HTTP response"),
        (answer(b""), "closed without an answer"),
        (hold, "no answer within 0.5 s"),
        (stream(b"", b"H"), "no HTTP response"),
        (stream(OK, b"X: y\r\n"), "a head of more than 16384 bytes"),
        (stream(OK, b"X", pause_s=0.02), "no answer within 0.5 s"),
        (stream(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), "a head of more than 16384 bytes"),
        (stream(OK + b"\r\n", b"x" * 9999), "body does not contain 'ok'"),
        (stream(OK + b"\r\n", b"x", pause_s=0.02), "no answer within 0.5 s"),
        (
            stream(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1;abcdefgh\r\nx\r\n"),
            "no end within 49152 bytes",
        ),
    ],
    ids=[
        "well",
        "another status",
        "garbage",
        "nothing",
        "silence",
        "one letter for ever",
        "fields for ever",
        "a head that trickles",
        "interim responses for ever",
        "a body for ever",
        "a body that trickles",
        "tiny chunks for ever",
    ],
)
def test_whatever_a_node_answers_the_check_ends(
    serve: Serve, behaviour: Callable[[socket.socket], None], detail: str
) -> None:
    limit_s = 0.5 if detail.startswith("no answer") else 30.0
    began = time.monotonic()
    result = check("http", serve(behaviour), health_expect="ok", health_timeout=str(limit_s))
    assert result.detail == detail
    assert time.monotonic() - began < limit_s + 20


def test_a_node_that_never_closes_passes_by_its_status(serve: Serve) -> None:
    assert check("http", serve(stream(OK + b"\r\n", b"x", pause_s=0.01))).ok


def write_program(folder: Path, body: str) -> str:
    program = folder / "program"
    program.write_text(f"#!{sys.executable}\nimport os, signal, subprocess, sys, time\n{body}\n")
    program.chmod(0o755)
    return str(program)


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ("sys.exit(0)", ""),
        ("print('first'); print('disk is full'); sys.exit(3)", "exit status 3: disk is full"),
        ("sys.exit(1)", "exit status 1"),
        ("os.kill(os.getpid(), signal.SIGTERM)", "ended by signal 15"),
        ("sys.exit(sys.argv[1:] != ['two words', '10.9.8.7', '81'])", ""),
        ("sys.exit(os.environ['WSGISTACK_NODE'] != '10.9.8.7:81' or 'HOME' in os.environ)", ""),
        ("sys.stdout.write('x' * 10**6); sys.exit(2)", "exit status 2: " + "x" * 185),
        ("sys.stdout.buffer.write(b'a\\xff\\r\\x1bz'); sys.exit(2)", "exit status 2: a???z"),
    ],
)
def test_a_program_decides_by_its_exit_status(tmp_path: Path, body: str, detail: str) -> None:
    program = write_program(tmp_path, body)
    result = check("command", "10.9.8.7:81", health_command=f"{program} 'two words'", health_timeout="20")
    assert (result.detail, result.ok, result.refused) == (detail, not detail, False)


@pytest.mark.parametrize("body", ["time.sleep(600)", "while True: print('x' * 4096)"], ids=["silent", "loud"])
def test_a_program_that_takes_too_long_is_killed_with_all_it_started(tmp_path: Path, body: str) -> None:
    pids = tmp_path / "pids"
    child = "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])"
    text = f"child = {child}\nopen({str(pids)!r} + '.new', 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
    text += f"os.rename({str(pids)!r} + '.new', {str(pids)!r})\n{body}"
    program = write_program(tmp_path, text)
    for limit in ("2", "4", "16"):
        result = check("command", "10.9.8.7:81", health_command=program, health_timeout=limit)
        assert result.detail == f"no answer within {limit} s"
        if pids.exists():  # else this machine stood still while it began
            break
    for pid in map(int, pids.read_text().split()):
        assert not is_running(pid)


def is_running(pid: int) -> bool:
    """Tell whether the process does anything; a dead one may wait for its parent to notice."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return False
        if state in "ZX":
            return False
        gevent.sleep(0.02)
    return True


def test_a_program_that_leaves_a_child_behind_is_not_waited_for(tmp_path: Path) -> None:
    child = "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(25)'])"
    program = write_program(tmp_path, child)
    began = time.monotonic()
    assert check("command", "10.9.8.7:81", health_command=program, health_timeout="20").ok
    assert time.monotonic() - began < 20


def test_a_program_that_is_not_there_fails_the_check(tmp_path: Path) -> None:
    result = check("command", "10.9.8.7:81", health_command=f"{tmp_path}/gone")
    assert (result.detail, result.refused) == (f"{tmp_path}/gone: No such file or directory", False)


def test_nothing_of_a_check_is_left_open(serve: Serve, tmp_path: Path) -> None:
    program = write_program(tmp_path, "sys.exit(1)")
    address = serve(answer(b"HTTP/1.1 200 OK\r\n\r\n"))
    check("command", address, health_command=program, health_timeout="20")
    check("http", address)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        check("command", address, health_command=program, health_timeout="20")
        check("http", address)
    gevent.sleep(0.05)
    assert len(os.listdir("/proc/self/fd")) <= before + 1
