"""The line protocol over bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgistack.balancer.language.session import LONGEST_LINE, LineBuffer, Overlong, Session


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"uptime\r\n", ["uptime"]),
        (b"uptime\n", ["uptime"]),
        (b"a\r\nb\nc\r\n", ["a", "b", "c"]),
        (b"\n", [""]),
        (b"\r\n\n", ["", ""]),
        (b"uptime\r\0\r\n", ["uptime"]),
        (b"partial", []),
        (b"a\rb\n", ["a\rb"]),
        ("größe\n".encode(), ["größe"]),
        (b"gr\xf6\xdfe\n", ["größe"]),
        (b"\x00\x07\x1b[A\n", ["\x00\x07\x1b[A"]),
        (b"\xff\xf4\xff\xfd\x06quit\r\n", ["quit"]),
        (b"\xfe\xff\n", ["þÿ"]),
    ],
    ids=[
        "crlf",
        "lf",
        "several in one packet",
        "a bare newline is a blank line",
        "two blank lines",
        "crlf piped into telnet",
        "a partial line waits",
        "a lone cr is part of the line",
        "utf-8",
        "latin-1",
        "control bytes",
        "telnet's own commands, after Ctrl-C",
        "not utf-8",
    ],
)
def test_bytes_become_lines(data: bytes, lines: list[str]) -> None:
    assert LineBuffer().feed(data) == lines


def test_a_line_may_arrive_in_pieces() -> None:
    buffer = LineBuffer()
    assert [buffer.feed(piece) for piece in (b"up", b"ti", b"me\r", b"\nno")] == [[], [], [], ["uptime"]]
    assert buffer.feed(b"des\n") == ["nodes"]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_the_longest_line_passes(end: bytes) -> None:
    assert LineBuffer().feed(b"a" * LONGEST_LINE + end) == ["a" * LONGEST_LINE]
    buffer = LineBuffer()
    assert buffer.feed(b"a" * LONGEST_LINE + end[:-1]) == []
    assert buffer.feed(b"\n") == ["a" * LONGEST_LINE]


def test_a_longer_line_ends_the_session_after_those_before_it() -> None:
    buffer = LineBuffer()
    assert buffer.feed(b"uptime\n" + b"a" * (LONGEST_LINE + 1) + b"\nproc\n") == ["uptime", Overlong()]
    assert buffer.feed(b"proc\n") == []
    assert Overlong().text == "a line has at most 8192 bytes"


def test_an_endless_line_is_not_collected() -> None:
    buffer = LineBuffer()
    assert buffer.feed(b"a" * (LONGEST_LINE + 4)) == [Overlong()]
    assert buffer.feed(b"a" * 100) == []


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=6))
def test_any_split_of_any_bytes_gives_the_same_lines(data: bytes, cuts: list[int]) -> None:
    buffer, found, start = LineBuffer(), [], 0
    for cut in [*sorted(cuts), len(data)]:
        found += buffer.feed(data[start:cut])
        start = max(start, cut)
    assert found == LineBuffer().feed(data)


def test_a_connection_is_verbose_and_has_no_environment() -> None:
    assert Session() == Session("telnet", None, True, None)


def test_a_file_is_silent_and_has_one() -> None:
    assert Session.of_file({"A": "1"}) == Session("file", None, False, {"A": "1"})
