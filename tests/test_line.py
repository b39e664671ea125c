"""A line of the access log, plain and compiled: the same."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import examples
from wsgistack import line, line_cy, passage, passage_cy

TWINS = [line, line_cy]
BOTH = pytest.mark.parametrize("twin", TWINS, ids=["plain", "compiled"])


def line_of(
    twin: ModuleType, environ: dict[str, Any], cache_status: str = "", at: float = 1_795_000_000.25
) -> str:
    module = passage if twin is line else passage_cy
    end = module.Passage(environ, lambda *head: len, (), lambda: 0)
    end.started_at, end.status, end.sent, end.took_us = at, "200", 5, 5000
    end.cache_status = cache_status
    found: str = twin.json_line(end)
    return found


@BOTH
def test_a_line_tells_what_is_known(twin: ModuleType) -> None:
    environ = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "/app",
        "PATH_INFO": "/page",
        "QUERY_STRING": "a=1",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "192.0.2.1",
        "REMOTE_USER": 7,
        "HTTP_USER_AGENT": 'curl "7"\x7f',
        "HTTP_REFERER": "http://a/\r\nb\\",
        "HTTP_TRACEPARENT": "00-1",
        "wsgistack.request_id": "r1",
        "wsgistack.bucket": "b\xe4",
    }
    assert line_of(twin, environ, "c; hit") == (
        '{"time":"2026-11-18T11:06:40.250+00:00","client":"192.0.2.1","method":"GET","target":"/app/page?a=1",'
        '"version":"HTTP/1.1","status":200,"bytes":5,"referer":"http://a/\\r\\nb\\\\",'
        '"user_agent":"curl \\"7\\"\\u007f","user":"7","request_id":"r1","traceparent":"00-1",'
        '"bucket":"b\\u00e4","cache":"c; hit","total_us":5000}'
    )


@BOTH
def test_a_line_of_who_tells_nothing_is_short(twin: ModuleType) -> None:
    assert line_of(twin, {}) == (
        '{"time":"2026-11-18T11:06:40.250+00:00","client":"unknown","method":"","target":"","version":"",'
        '"status":200,"bytes":5,"referer":"","user_agent":"","total_us":5000}'
    )


@BOTH
def test_what_is_no_text_is_told_as_one(twin: ModuleType) -> None:
    """An application may put anything into its environ; its line is not lost for that."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": None,
        "REMOTE_ADDR": b"a",
        "PATH_INFO": 7,
        "QUERY_STRING": ["a"],
        "SERVER_PROTOCOL": 1.1,
        "HTTP_REFERER": 0,
        "HTTP_USER_AGENT": {},
        "wsgi.input": None,
    }
    assert line_of(twin, environ) == (
        '{"time":"2026-11-18T11:06:40.250+00:00","client":"b\'a\'","method":"","target":"7?[\'a\']",'
        '"version":"1.1","status":200,"bytes":5,"referer":"","user_agent":"","total_us":5000}'
    )


@BOTH
def test_a_clock_may_be_set_to_before_1970(twin: ModuleType) -> None:
    assert json.loads(line_of(twin, {}, at=-0.25))["time"] == "1969-12-31T23:59:59.750+00:00"


@BOTH
@pytest.mark.parametrize(
    ("environ", "target"),
    [
        ({"RAW_URI": "/%41", "REQUEST_URI": "/b", "PATH_INFO": "/A"}, "/%41"),
        ({"REQUEST_URI": "/b?c", "PATH_INFO": "/A"}, "/b?c"),
        ({"RAW_URI": "", "PATH_INFO": "/A"}, "/A"),
        ({"RAW_URI": "/" + "a" * 1500}, "/" + "a" * 1499 + "..."),
    ],
    ids=["raw", "requested", "path", "long"],
)
def test_the_target_is_as_it_came_where_that_is_told(
    twin: ModuleType, environ: dict[str, str], target: str
) -> None:
    assert json.loads(line_of(twin, environ))["target"] == target


@BOTH
def test_what_clients_write_is_cut(twin: ModuleType) -> None:
    environ = dict.fromkeys(("HTTP_USER_AGENT", "HTTP_REFERER", "HTTP_TRACEPARENT"), "a" * 2000)
    read = json.loads(line_of(twin, environ))
    assert [len(read[key]) for key in ("user_agent", "referer", "traceparent")] == [1500] * 3


@given(
    st.dictionaries(
        st.sampled_from(["REMOTE_ADDR", "RAW_URI", "HTTP_USER_AGENT", "HTTP_REFERER", "REMOTE_USER"]),
        st.text(st.characters(max_codepoint=300), max_size=8),
    )
)
@settings(max_examples=examples(60), deadline=None)
def test_both_write_the_same_line(environ: dict[str, str]) -> None:
    assert line_of(line_cy, environ) == line_of(line, environ)


class Log:
    """A file that lines are appended to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.looks = 0
        self.errors: list[str] = []
        self.fd = -1

    def look(self) -> int:
        """Open it, or fail as long as its folder is not there."""
        self.looks += 1
        if self.fd < 0:
            self.fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        return self.fd

    def failed(self, error: OSError) -> None:
        """Note what is said."""
        self.errors.append(f"{type(error).__name__} {error.errno}")


def ended(twin: ModuleType, at_ns: int = 0, **environ: str) -> Any:
    """Return a request whose response is over."""
    end = (passage if twin is line else passage_cy).Passage(environ, lambda *head: len, (), lambda: 0)
    end.began_ns, end.took_us, end.started_at = at_ns, 0, 1_795_000_000.25
    return end


@BOTH
@pytest.mark.parametrize(
    "agent", ["curl", 'curl "7"', "c" * 1501, "c" * 1400], ids=["plain", "escaped", "cut", "long"]
)
def test_lines_are_appended(twin: ModuleType, agent: str, tmp_path: Path) -> None:
    log = Log(tmp_path / "log")
    lines = twin.Lines(log, twin.json_line, lambda: 1_795_000_000.25)
    expected = ""
    for _ in range(3):
        end = ended(twin, HTTP_USER_AGENT=agent, HTTP_REFERER=agent)
        lines.enter(end.environ, end)
        lines.at_end(end)
        expected += f"{line.json_line(end)}\n"
    os.close(log.fd)
    assert log.path.read_text() == expected
    assert (lines.fd, log.looks) == (log.fd, 1)


@BOTH
def test_another_format_is_appended_as_latin_1(twin: ModuleType, tmp_path: Path) -> None:
    log = Log(tmp_path / "log")
    twin.Lines(log, lambda end: "\xe4\u20ac", time.time).at_end(ended(twin))
    os.close(log.fd)
    assert log.path.read_bytes() == b"\xe4?\n"


@BOTH
def test_a_file_is_looked_at_once_a_second(twin: ModuleType, tmp_path: Path) -> None:
    log = Log(tmp_path / "log")
    lines, looks = twin.Lines(log, twin.json_line, time.time), []
    for at_ns in (5, 1_000_000_004, 1_000_000_005, 1_999_999_999, 2_000_000_005):
        lines.at_end(ended(twin, at_ns))
        looks.append(log.looks)
    os.close(log.fd)
    assert looks == [1, 1, 2, 2, 3]


@BOTH
def test_what_can_not_be_written_is_said_once(twin: ModuleType, tmp_path: Path) -> None:
    log = Log(tmp_path / "no" / "log")
    lines = twin.Lines(log, twin.json_line, time.time)
    lines.at_end(ended(twin))
    lines.at_end(ended(twin))
    log.path.parent.mkdir()
    lines.at_end(ended(twin))
    os.close(log.fd)
    lines.at_end(ended(twin))
    lines.at_end(ended(twin))
    assert log.errors == ["FileNotFoundError 2", "OSError 9"]
    assert len(log.path.read_text().splitlines()) == 1


@BOTH
def test_a_signal_while_a_line_waits_loses_nothing(twin: ModuleType) -> None:
    # A pipe that is full lets a line wait; the handler of the signal makes room for it.
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    filled = 0
    with suppress(BlockingIOError):
        while True:
            filled += os.write(writer, b"x" * 4096)
    os.set_blocking(writer, True)
    os.set_blocking(reader, False)
    read: list[bytes] = []

    def make_room(*_: object) -> None:
        with suppress(BlockingIOError):
            read.append(os.read(reader, filled))

    before = signal.signal(signal.SIGALRM, make_room)
    signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
    try:
        lines = twin.Lines(SimpleNamespace(look=lambda: writer), twin.json_line, time.time)
        lines.at_end(ended(twin))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    os.close(writer)
    with open(reader, "rb") as rest:
        got = b"".join(read) + rest.read()
    assert len(got) > filled
    assert json.loads(got[filled:])["client"] == "unknown"


WAITS = """
import os, threading, time
from contextlib import suppress
from types import SimpleNamespace
from wsgistack import {line}, {passage}

reader, writer = os.pipe()
os.set_blocking(writer, False)
with suppress(BlockingIOError):
    while True:
        os.write(writer, b"x" * 4096)
os.set_blocking(writer, True)
begun = threading.Event()

def look():
    begun.set()     # the next that this thread does is to write, and to wait
    return writer

def log():
    end = {passage}.Passage({{}}, lambda *head: len, (), lambda: 0)
    end.started_at = end.took_us = end.began_ns = 0
    {line}.Lines(SimpleNamespace(look=look), {line}.json_line, time.time).at_end(end)
    os.close(writer)

waiting = threading.Thread(target=log)
waiting.start()
begun.wait()
with open(reader, "rb") as rest:
    read = rest.read()
waiting.join()
print(read.lstrip(b"x").decode(), end="")
"""


@BOTH
def test_others_go_on_while_a_line_waits(twin: ModuleType) -> None:
    names = {"line": twin.__name__.rpartition(".")[2], "passage": "passage" if twin is line else "passage_cy"}
    run = [sys.executable, "-c", WAITS.format(**names)]
    told = subprocess.run(run, capture_output=True, check=True, timeout=60)  # else it waits for itself
    assert json.loads(told.stdout)["client"] == "unknown"
