"""The journal's lines, its marks, and what is still to be done after each kind of crash."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgistack.balancer.journal import Entry, digest, find_pending, parse_journal

FILE = "CREATE POOL a\n"


def entries(*lines: str) -> list[Entry]:
    return [Entry(1000.0 + n, "127.0.0.1:4", line) for n, line in enumerate(lines)]


def test_a_line_says_when_who_and_what() -> None:
    (entry,) = entries("POOL a ADD 10.0.0.1")
    assert str(entry) == "1970-01-01T00:16:40.000Z 127.0.0.1:4 POOL a ADD 10.0.0.1"
    assert parse_journal(f"{entry}\n".encode()) == ([entry], [], b"")


def test_garbage_is_told_and_a_torn_end_is_no_line() -> None:
    (entry,) = entries("POOL a ADD 10.0.0.1")
    data = f"garbage\n{entry}\n2026-11-25T20:11:00Z x\n1970-01-01T00:16:40.000Z 127.0.0.1:4 POOL a A".encode()
    assert parse_journal(data) == (
        [entry],
        [(1, "garbage"), (3, "2026-11-25T20:11:00Z x")],
        b"1970-01-01T00:16:40.000Z 127.0.0.1:4 POOL a A",
    )


@given(st.binary(max_size=200))
def test_no_bytes_are_too_much(data: bytes) -> None:
    found, problems, torn = parse_journal(data)
    assert len(found) + len(problems) == data.count(b"\n")
    assert b"\n" not in torn


@pytest.mark.parametrize(
    ("lines", "pending"),
    [
        ([], []),
        (["a", "b"], ["a", "b"]),
        (["a", "# saving {now}", "# saved", "b"], ["b"]),
        (["a", "# saving {now}", "# saved"], []),
        (["a", "# saving {now}"], []),
        (["a", "# saving 00"], ["a"]),
        (["a", "# saving 00", "b"], ["a", "b"]),
        (["a", "# saving 00", "# saved", "b"], ["b"]),
        (["a", "# saving 00", "b", "# saving {now}", "c"], ["c"]),
        (["a", "# discarded", "b"], ["a", "b"]),
    ],
    ids=[
        "nothing",
        "never saved",
        "saved",
        "saved last",
        "a crash after the file was replaced",
        "a crash before the file was replaced",
        "that, and it went on",
        "saved, and edited by hand since",
        "the second save replaced it",
        "another comment",
    ],
)
def test_what_the_file_does_not_have_is_pending(lines: list[str], pending: list[str]) -> None:
    found = entries(*(line.format(now=digest(FILE)) for line in lines))
    assert [entry.line for entry in find_pending(found, FILE)] == pending
