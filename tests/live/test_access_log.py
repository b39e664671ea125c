"""The access log of real workers: what a line says, that nothing forges or tears one, and that none is lost."""

import json
import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import examples
from tests.live.conftest import StartBackend, StartBalancer
from tests.live.load import Load
from tests.live.processes import Balancer, eventually, site
from tests.live.raw import exchange
from tests.live.scripted import HANG, RESET, ScriptedNode, answer

UNCHECKED = "SET mypool.health_check = none"
COMBINED = re.compile(
    r'(?P<client>\S+) - - \[(?P<time>\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000)\] "(?P<request>[^"]*)" '
    r'(?P<status>\d{3}) (?P<bytes>\d+) "(?P<referer>(?:[^"\\]|\\.)*)" "(?P<agent>(?:[^"\\]|\\.)*)"(?P<more>.*)'
)


def configure(
    node: ScriptedNode, path: object, form: str = "json", service: str = "", workers: int = 1
) -> str:
    log = f"SERVER access_log = {path}\nSERVER access_log_format = {form}"
    return site([node.backend], workers=workers, pool=UNCHECKED, service=service, more=log)


def lines_of(path: Path, count: int) -> list[str]:
    """Return the lines of *path* once there are so many."""
    eventually(
        lambda: path.exists() and path.read_bytes().count(b"\n") >= count, what=f"{count} lines in {path}"
    )
    text = path.read_text(encoding="ascii")
    assert text.endswith("\n")
    return text.splitlines()


def records(path: Path, count: int) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines_of(path, count)]


def request(*fields: str, line: str = "GET /a?b=c HTTP/1.1") -> bytes:
    return "\r\n".join([line, "Host: a", "Connection: close", *fields, "", ""]).encode("latin-1")


def test_a_record_says_who_asked_what_and_how_it_went(start_balancer: StartBalancer, tmp_path: Path) -> None:
    with ScriptedNode(lambda head: answer(200, b"hello")) as node:
        balancer = start_balancer(configure(node, tmp_path / "log", service="SET request_id = trust"))
        trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        fields = ["Referer: http://x/", "User-Agent: me/1", "X-Request-Id: r1", f"Traceparent: {trace}"]
        exchange(balancer.site, request(*fields))
        (record,) = records(tmp_path / "log", 1)
        phases = {
            key: record.pop(key) for key in ("head_us", "wait_us", "connect_us", "first_us", "total_us")
        }
        assert (
            abs(
                time.time()
                - time.mktime(time.strptime(record["time"][:19], "%Y-%m-%dT%H:%M:%S"))
                + time.timezone
            )
            < 60
        )
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record.pop("time"))
        assert record == {
            "client": "127.0.0.1", "method": "GET", "target": "/a?b=c", "version": "1.1", "status": 200, "bytes": 5,
            "referer": "http://x/", "user_agent": "me/1", "request_id": "r1", "traceparent": trace,
            "service": "mysite", "pool": "mypool", "node": node.address, "tries": 1,
        }  # fmt: skip
        assert all(0 <= us <= phases["total_us"] for us in phases.values())
        assert phases["first_us"] > 0
        assert (tmp_path / "log").stat().st_mode & 0o777 == 0o640


def test_combined_is_what_apache_writes_and_more(start_balancer: StartBalancer, tmp_path: Path) -> None:
    with ScriptedNode(lambda head: answer(404, b"no")) as node:
        balancer = start_balancer(configure(node, tmp_path / "log", "combined"))
        exchange(balancer.site, request('User-Agent: a "b" \\ \xe9'))
        found = COMBINED.fullmatch(lines_of(tmp_path / "log", 1)[0])
        assert found
        assert found["client"] == "127.0.0.1"
        assert found["request"] == "GET /a?b=c HTTP/1.1"
        assert (found["status"], found["bytes"]) == ("404", "2")
        assert (found["referer"], found["agent"]) == ("-", r"a \"b\" \\ \xe9")
        assert f' service="mysite" pool="mypool" node="{node.address}" tries=1 head_us=' in found["more"]


@pytest.mark.parametrize(
    ("said", "data", "status", "reason", "tries"),
    [
        pytest.param(
            answer(200),
            b"GET / HTTP/1.1\r\nHost: a\r\nX : 1\r\n\r\n",
            400,
            "space_before_colon",
            0,
            id="head",
        ),
        pytest.param(RESET, request(), 502, "node_closed", 2, id="reset"),
        pytest.param(HANG, request(), 504, "node_timeout", 1, id="hang"),
        pytest.param(answer(200), b"GET / HTTP/1.1\r\nHo", 408, "client_header_timeout", 0, id="trickle"),
    ],
)
def test_a_refusal_has_its_reason(
    start_balancer: StartBalancer,
    tmp_path: Path,
    said: bytes,
    data: bytes,
    status: int,
    reason: str,
    tries: int,
) -> None:
    service = "SET node_first_byte_timeout = 200ms\nSET client_header_timeout = 200ms"
    with ScriptedNode(lambda head: said) as node:
        balancer = start_balancer(configure(node, tmp_path / "log", service=service))
        exchange(balancer.site, data)
        (record,) = records(tmp_path / "log", 1)
        assert (record["status"], record["reason"], record["tries"]) == (status, reason, tries)


def test_a_client_that_leaves_is_noted(start_balancer: StartBalancer, tmp_path: Path) -> None:
    with ScriptedNode(lambda head: HANG) as node:
        balancer = start_balancer(configure(node, tmp_path / "log"))
        host, _, port = balancer.site.rpartition(":")
        with socket.create_connection((host, int(port))) as client:
            client.sendall(request())
            eventually(lambda: node.count() == 1)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        (record,) = records(tmp_path / "log", 1)
        assert (record["status"], record["reason"], record["node"]) == (499, "client_gone", node.address)


HOSTILE = st.binary(max_size=300).map(lambda raw: bytes(b for b in raw if b not in b"\r\n\0"))


@pytest.fixture(scope="module", params=["json", "combined"])
def logging_balancer(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Balancer, str]]:
    folder = tmp_path_factory.mktemp("log")
    with ExitStack() as stack:
        node = stack.enter_context(ScriptedNode(lambda head: answer(200)))
        balancer = Balancer(folder, configure(node, folder / "log", request.param))
        stack.callback(balancer.stop)
        yield balancer.start(), request.param


@settings(
    max_examples=examples(10),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.tuples(HOSTILE, HOSTILE, HOSTILE), min_size=1, max_size=20))
def test_no_request_can_forge_or_break_a_line(
    logging_balancer: tuple[Balancer, str], requests: list[tuple[bytes, bytes, bytes]]
) -> None:
    balancer, form = logging_balancer
    path = balancer.folder / "log"
    before = path.read_bytes().count(b"\n")
    for target, agent, ident in requests:
        lines = [
            b"GET /" + target + b" HTTP/1.1",
            b"Host: a",
            b"User-Agent: " + agent,
            b"X-Request-Id: " + ident,
        ]
        exchange(balancer.site, b"\r\n".join([*lines, b"Connection: close", b"", b""]))
    written = lines_of(path, before + len(requests))[before:]
    assert len(written) == len(requests)
    for line in written:
        assert len(line) < 4096
        assert re.fullmatch(r"[ -~]+", line)
        if form == "json":
            record = json.loads(line)
            assert record["status"] in (200, 400)
            assert record["service"] == "mysite"
        else:
            assert COMBINED.fullmatch(line)


def test_a_line_stays_within_what_a_pipe_takes_at_once(start_balancer: StartBalancer, tmp_path: Path) -> None:
    with ScriptedNode(lambda head: answer(200)) as node:
        balancer = start_balancer(configure(node, tmp_path / "log"))
        fields = [
            f"{name}: " + "\xff" * 5000 for name in ("Referer", "User-Agent", "X-Request-Id", "Traceparent")
        ]
        exchange(balancer.site, request(*fields, line=f"GET /{'x' * 9000} HTTP/1.1"))
        (line,) = lines_of(tmp_path / "log", 1)
        assert len(line) < 4096
        assert json.loads(line)["target"].endswith("xxx...")


def test_a_log_that_is_renamed_under_load_loses_no_line(
    start_backend: StartBackend, start_balancer: StartBalancer, tmp_path: Path
) -> None:
    path, old = tmp_path / "log", tmp_path / "log.1"
    text = site(
        [start_backend("a"), start_backend("b")],
        workers=2,
        more=f"SERVER access_log = {path}\nSERVER access_log_format = json",
    )
    balancer = start_balancer(text)
    with Load(balancer.site) as load:
        eventually(lambda: load.count > 300)
        path.rename(old)
        balancer.signal(signal.SIGUSR1)
        eventually(path.exists)
        before = load.count
        eventually(lambda: load.count > before + 300)
    assert load.failures == {}
    assert balancer.stop() == 0
    lines = old.read_text().splitlines() + path.read_text().splitlines()
    assert len(lines) == load.count
    assert {json.loads(line)["status"] for line in lines} == {200}


def test_stdout_can_be_the_log(start_balancer: StartBalancer) -> None:
    with ScriptedNode(lambda head: answer(200)) as node:
        balancer = start_balancer(configure(node, "-"))
        assert balancer.get("/hello")[0] == 200
        assert balancer.wait_for_log(r'"target":"/hello"')


def test_a_reader_that_stops_reading_holds_nothing_up(start_balancer: StartBalancer, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with ScriptedNode(lambda head: answer(200)) as node:
        balancer = start_balancer(configure(node, pipe))
        one = b"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: " + b"x" * 300 + b"\r\n\r\n"
        last = request(line="GET /last HTTP/1.1")
        got = exchange(balancer.site, one * 600 + last)
        assert got.count(b"HTTP/1.1 200") == 601
        balancer.wait_for_log(r'access_log_lost lines=\d+ error="its reader is slow"')
        data = b""
        with suppress(BlockingIOError):
            while more := os.read(reader, 65536):
                data += more
        assert data.count(b"\n") > 20
        assert all(json.loads(line)["status"] == 200 for line in data.splitlines())
    os.close(reader)


def test_a_full_disk_is_told_and_costs_no_request(start_balancer: StartBalancer) -> None:
    with ScriptedNode(lambda head: answer(200)) as node:
        balancer = start_balancer(configure(node, "/dev/full"))
        assert balancer.get("/")[0] == 200
        balancer.wait_for_log(r'access_log_lost lines=1 error="No space left on device"')
        assert balancer.get("/")[0] == 200


def test_a_log_that_cannot_be_opened_is_refused(start_balancer: StartBalancer, tmp_path: Path) -> None:
    with ScriptedNode(lambda head: answer(200)) as node:
        first = start_balancer(configure(node, tmp_path / "missing" / "log"), wait=False)
        assert first.wait() != 0
        assert f"access_log = {tmp_path}/missing/log: No such file or directory" in first.log
        balancer = start_balancer(configure(node, tmp_path / "log"))
        told = balancer.admin(f"SERVER access_log = {tmp_path}")
        assert told == [f"ERROR: access_log = {tmp_path}: Is a directory"]
        assert f"SERVER access_log = {tmp_path / 'log'}" in balancer.admin("dumpconfig")
        assert balancer.get("/")[0] == 200
        assert len(lines_of(tmp_path / "log", 1)) == 1
        assert balancer.admin("SERVER access_log = off") == ["OK"]
        assert balancer.get("/")[0] == 200
        assert balancer.admin(f"SERVER access_log = {tmp_path / 'other'}") == ["OK"]
        assert balancer.get("/other")[0] == 200
        assert len(lines_of(tmp_path / "other", 1)) == 1
        assert len(lines_of(tmp_path / "log", 1)) == 1
