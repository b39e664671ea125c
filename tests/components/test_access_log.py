"""A line for each response, that nobody can forge and nothing can lose."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from tests.wsgi_shapes import Application, Broken, Shape, serve
from wsgistack.components.access_log import AccessLog
from wsgistack.errors import SettingError

ASKED = {
    "PATH_INFO": "/page",
    "QUERY_STRING": "a=1",
    "REMOTE_ADDR": "192.0.2.1",
    "HTTP_USER_AGENT": 'curl/7 "quoted"',
    "HTTP_REFERER": "http://a/\r\nforged",
    "wsgistack.request_id": "r1",
}


def logged(path: Path, shape: Shape | None = None, format: str = "json", **variables: str) -> list[str]:
    ticks = iter(range(0, 10**9, 5_000_000))
    app = AccessLog(
        Application(shape or Shape()),
        path=str(path),
        format=format,
        now=lambda: 1_795_000_000.25,
        monotonic_ns=lambda: next(ticks),
    )
    serve(app, {**ASKED, **variables})
    return path.read_text().splitlines()


def test_a_line_is_json(tmp_path: Path) -> None:
    (line,) = logged(tmp_path / "log")
    assert json.loads(line) == {
        "time": "2026-11-18T11:06:40.250+00:00",
        "client": "192.0.2.1",
        "method": "GET",
        "target": "/page?a=1",
        "version": "HTTP/1.1",
        "status": 200,
        "bytes": 5,
        "referer": "http://a/\r\nforged",
        "user_agent": 'curl/7 "quoted"',
        "request_id": "r1",
        "total_us": 5000,
    }


def test_a_line_is_combined(tmp_path: Path) -> None:
    (line,) = logged(tmp_path / "log", format="combined")
    assert line == (
        '192.0.2.1 - - [18/Nov/2026:11:06:40 +0000] "GET /page?a=1 HTTP/1.1" 200 5'
        ' "http://a/\\x0d\\x0aforged" "curl/7 \\x22quoted\\x22" request_id="r1" total_us=5000'
    )


def test_what_is_no_text_is_told_as_one(tmp_path: Path) -> None:
    odd: dict[str, Any] = {"HTTP_REFERER": None, "HTTP_USER_AGENT": 7, "PATH_INFO": b"/"}
    (line,) = logged(tmp_path / "log", format="combined", **odd)
    assert line == (
        "192.0.2.1 - - [18/Nov/2026:11:06:40 +0000] \"GET b'/'?a=1 HTTP/1.1\" 200 5"
        ' "" "7" request_id="r1" total_us=5000'
    )


@pytest.mark.parametrize(
    ("shape", "status", "size"),
    [
        (Shape(kind="write", blocks=(b"a", b"bc")), 200, 3),
        (Shape(kind="write and list", blocks=(b"a", b"bc")), 200, 3),
        (Shape(kind="late", status="404 Not Found"), 404, 5),
        (Shape(kind="generator", blocks=(b"a", b"b"), breaks_at=1), 200, 1),
        (Shape(kind="list", breaks_at=0), 200, 0),
        (Shape(kind="late", breaks_at=0), 200, 0),
    ],
    ids=["written", "both", "late", "broken", "raised", "late and broken"],
)
def test_status_and_bytes_are_what_was_sent(tmp_path: Path, shape: Shape, status: int, size: int) -> None:
    (line,) = logged(tmp_path / "log", shape)
    read = json.loads(line)
    assert (read["status"], read["bytes"]) == (status, size)


def test_what_fails_before_it_answers_is_a_500(tmp_path: Path) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Any:
        raise Broken("at once")

    assert isinstance(serve(AccessLog(app, path=str(tmp_path / "log"))).error, Broken)
    assert json.loads((tmp_path / "log").read_text())["status"] == 500


def test_what_clients_write_is_cut(tmp_path: Path) -> None:
    (line,) = logged(tmp_path / "log", PATH_INFO="/" + "a" * 100_000, HTTP_USER_AGENT="b" * 100_000)
    assert len(line) < 4000


def test_each_thing_that_a_client_writes_is_cut(tmp_path: Path) -> None:
    long = "b" * 100_000
    (line,) = logged(
        tmp_path / "log",
        format="combined",
        HTTP_USER_AGENT=long,
        HTTP_REFERER=long,
        REMOTE_USER=long,
        HTTP_TRACEPARENT=long,
        **{"wsgistack.request_id": long},  # type: ignore[arg-type]  # it is no other argument's name
    )
    assert line.count("b" * 1500) == 5
    assert "b" * 1501 not in line


def test_nobody_else_may_read_or_write_the_file(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        logged(tmp_path / "log")
    finally:
        os.umask(before)
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("user", "written"),
    [
        ("ann7", '"ann7"'),
        ("a b", '"a b"'),
        ('a"b\\', '"a\\"b\\\\"'),
        ("a\nb", '"a\\nb"'),
        ("\xe4\xb2", '"\\u00e4\\u00b2"'),
        ("\u0663", '"\\u0663"'),
        ("a" * 2000, f'"{"a" * 1500}"'),
    ],
    ids=["plain", "blank", "quoted", "newline", "latin-1", "digit of another script", "long"],
)
def test_names_are_written_as_json_has_them(tmp_path: Path, user: str, written: str) -> None:
    (line,) = logged(tmp_path / "log", REMOTE_USER=user, HTTP_USER_AGENT=user)
    assert f',"user_agent":{written},"user":{written},' in line


def test_without_a_file_the_logger_has_the_lines(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="wsgistack.access")
    serve(AccessLog(Application(Shape())))
    assert [json.loads(record.getMessage())["status"] for record in caplog.records] == [200]


def test_a_file_that_was_renamed_is_made_anew(tmp_path: Path) -> None:
    clock = [100_000_000_000]
    path = tmp_path / "log"
    app = AccessLog(Application(Shape()), path=str(path), monotonic_ns=lambda: clock[0])
    serve(app)
    path.rename(tmp_path / "log.1")
    serve(app)
    clock[0] += 1_500_000_000
    serve(app)
    assert (len((tmp_path / "log.1").read_text().splitlines()), len(path.read_text().splitlines())) == (2, 1)


def test_a_file_that_is_made_anew_keeps_its_descriptor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A thread may be about to write to it, and what is closed is soon the number of a connection,
    # here of one that is opened just before.
    clock = [100_000_000_000]
    path, open_file = tmp_path / "log", os.open
    connections: list[int] = []

    def connecting(*arguments: Any) -> int:
        connections.append(open_file(os.devnull, os.O_RDONLY))
        return open_file(*arguments)

    closed: list[int] = []
    close = os.close

    def closing(fd: int) -> None:
        closed.append(fd)
        close(fd)

    monkeypatch.setattr("wsgistack.components.access_log.os.open", connecting)
    monkeypatch.setattr("wsgistack.components.access_log.os.close", closing)
    app = AccessLog(Application(Shape()), path=str(path), monotonic_ns=lambda: clock[0])
    serve(app)
    descriptor = app.lines.fd
    path.rename(tmp_path / "log.1")
    clock[0] += 1_500_000_000
    serve(app)
    assert len(closed) == 1  # what was opened beside the old one: none is left behind
    for connection in connections:
        close(connection)
    assert len(connections) == 2
    assert app.lines.fd == descriptor
    assert os.path.samestat(os.fstat(descriptor), path.stat())
    assert not os.get_inheritable(descriptor)


def test_a_log_that_can_not_be_written_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    app = AccessLog(Application(Shape()), path=str(tmp_path / "no" / "log"))
    assert [serve(app).body for _ in range(3)] == [b"hello"] * 3
    assert [record.getMessage().partition(": ")[2] for record in caplog.records] == [
        f"[Errno 2] No such file or directory: '{tmp_path / 'no' / 'log'}'"
    ]


def test_lines_of_many_processes_stay_whole(tmp_path: Path) -> None:
    app = AccessLog(Application(Shape()), path=str(tmp_path / "log"))
    serve(app)
    children = []
    for number in range(4):
        pid = os.fork()
        if pid == 0:
            for _ in range(200):
                serve(app, {"PATH_INFO": f"/{number}" * 300})
            os._exit(0)
        children.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 4
    assert len([json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]) == 801


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(SettingError, match=r"format: 'xml' is not one of combined, json"):
        AccessLog(Application(Shape()), format="xml")


def test_a_folder_is_refused_when_the_log_is_made(tmp_path: Path) -> None:
    for path in (str(tmp_path), f"{tmp_path}/logs/"):
        with pytest.raises(SettingError) as caught:
            AccessLog(Application(Shape()), path=path, format="jsn")
        assert str(caught.value) == (
            f"path: '{path}' is a folder, not a file that lines are appended to; "
            "format: 'jsn' is not one of combined, json (did you mean 'json'?)"
        )
