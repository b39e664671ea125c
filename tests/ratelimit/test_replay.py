"""Which requests of an access log would have been refused."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from wsgistack.ratelimit.__main__ import main
from wsgistack.ratelimit.replay import Logged, parse_line, replay, show
from wsgistack.ratelimit.rules import Rule

TAIL = '200 17 "-" "curl/8"'


def line(
    peer: str = "192.0.2.1", at: str = "25/Nov/2026:20:00:00 +0000", request: str = "GET / HTTP/1.1"
) -> str:
    return f'{peer} - - [{at}] "{request}" {TAIL}\n'


@pytest.mark.parametrize(
    ("text", "logged"),
    [
        (
            line(request="GET /a?b=c HTTP/1.1"),
            Logged(1_795_636_800_000_000, "192.0.2.1", "-", "GET", "/a?b=c"),
        ),
        (
            '::1 - ann [25/Nov/2026:21:00:00 +0100] "POST /x HTTP/2.0" 201 -',
            Logged(1_795_636_800_000_000, "::1", "ann", "POST", "/x"),
        ),
        (
            r'192.0.2.1 - - [25/Nov/2026:20:00:00 +0000] "GET /\"x\" HTTP/1.1" 200 1',
            Logged(1_795_636_800_000_000, "192.0.2.1", "-", "GET", r"/\"x\""),
        ),
        (
            'www.example.org:443 2001:db8::1 - ann b [25/Nov/2026:20:00:00 +0000] "GET / HTTP/1.1" 200 1',
            Logged(1_795_636_800_000_000, "2001:db8::1", "ann b", "GET", "/", host="www.example.org"),
        ),
        (
            '::1 - ann b [25/Nov/2026:20:00:00 +0000] "GET / HTTP/1.1" 200 1',
            Logged(1_795_636_800_000_000, "::1", "ann b", "GET", "/"),
        ),
        (
            r'192.0.2.1 - - [25/Nov/2026:20:00:00 +0000] "\x16\x03\x01" 400 157 "-" "-"',
            Logged(1_795_636_800_000_000, "192.0.2.1", "-", r"\x16\x03\x01", ""),
        ),
        (
            '192.0.2.1 - - [25/Nov/2026:20:00:00 +0000] "" 400 0 "-" "-"',
            Logged(1_795_636_800_000_000, "192.0.2.1", "-", "", ""),
        ),
        (line(request="GET /old"), Logged(1_795_636_800_000_000, "192.0.2.1", "-", "GET", "/old")),
    ],
)
def test_a_line_is_a_request(text: str, logged: Logged) -> None:
    assert parse_line(text) == logged


@pytest.mark.parametrize("text", ["", "junk", line(at="yesterday"), '192.0.2.1 - - "GET /" 200'])
def test_what_is_no_request_is_said_to_be_none(text: str) -> None:
    assert parse_line(text) is None


def test_a_request_of_a_log_is_seen_as_any_other() -> None:
    logged = parse_line(line(request="GET /a/b?c=d HTTP/1.1"))
    assert logged is not None
    assert (logged.path, logged.query, logged.field("accept"), logged.variable("REMOTE_USER")) == (
        "/a/b",
        "c=d",
        None,
        None,
    )


def test_time_is_the_logs() -> None:
    log = [line(at=f"25/Nov/2026:20:0{minute}:00 +0000") for minute in (0, 0, 0, 1, 1)]
    report = replay(log, [Rule("r", "2/minute fixed")])
    assert (report.requests, dict(report.refused)) == (5, {"r": 1})


def test_lines_that_were_written_late_are_put_in_order() -> None:
    log = [line(at=f"25/Nov/2026:20:00:{second:02d} +0000") for second in (50, 0, 40, 10, 30, 20)]
    assert replay(log, [Rule("r", "1/10 seconds")]).refused.total() == 0


def test_who_was_refused_is_told_by_name() -> None:
    log = [
        line(),
        line(),
        "what is this?\n",
        line("2001:db8::1"),
        line("2001:db8::2"),
        line("2001:db8::3"),
        "\n",
    ]
    report = replay(log, [Rule("api", "1/minute")])
    assert show(report) == [
        "requests 5",
        "refused 3 (60.00 %)",
        "refused by api 3",
        "client 2001:db8::/64 refused 2",
        "client 192.0.2.1 refused 1",
        "not understood 1 lines, the first: 'what is this?'",
    ]


def test_the_program_says_what_it_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "access.log"
    log.write_text(line() * 3 + line(request="POST /login HTTP/1.1") * 3)
    assert main(["replay", str(log), "1/minute", "--path", "/login", "--methods", "POST"]) == 0
    assert capsys.readouterr().out.splitlines()[:2] == ["requests 6", "refused 2 (33.33 %)"]


def test_the_program_reads_standard_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(line()))
    assert main(["replay", "-", "1/minute"]) == 0
    assert capsys.readouterr().out.startswith("requests 1\n")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["-", "5/minte"], "did you mean 'minute'?"),
        (["no/such/file", "5/minute"], "No such file"),
        (["-", "5/minute", "--ban", "x"], "is not like"),
    ],
)
def test_what_cannot_be_meant_is_told(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", *arguments]) == 2
    assert complaint in capsys.readouterr().err
