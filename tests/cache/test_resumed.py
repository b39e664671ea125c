"""A reply that stops in the middle is gone on with, or cut where nothing else is the same so far."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from tests.cache.shop import FRESH
from wsgistack.cache.coalesce import Left
from wsgistack.cache.resumed import gone_on

HEAD = [*FRESH, ("Content-Length", "7")]


class Body:
    """Blocks of another answer; tells whether it was closed."""

    def __init__(self, *blocks: bytes) -> None:
        self.blocks = iter(blocks)
        self.is_closed = False

    def __iter__(self) -> Iterator[bytes]:
        return self.blocks

    def close(self) -> None:
        self.is_closed = True


def stopped(*blocks: bytes) -> Iterator[bytes]:
    yield from blocks
    raise Left("its maker is gone")


def answer(body: Iterable[bytes], fields: list[tuple[str, str]] = HEAD, status: str = "200 OK") -> Any:
    def again(start_response: Any) -> Iterable[bytes]:
        start_response(status, fields)
        return body

    return again


def read(blocks: Iterator[bytes], again: Callable[[Any], Iterable[bytes]]) -> tuple[list[bytes], str]:
    """Return what a client gets, and why it was no more."""
    got: list[bytes] = []
    try:
        got.extend(gone_on("200 OK", HEAD, blocks, again))
    except Left as left:
        return got, str(left)
    return got, ""


def test_what_does_not_stop_is_as_it_came() -> None:
    def never(start_response: Any) -> Iterable[bytes]:
        raise AssertionError("asked for nothing")

    assert read(iter([b"one ", b"two"]), never) == ([b"one ", b"two"], "")
    assert read(stopped(b"one ", b"two"), never) == ([b"one ", b"two"], "")  # all that was announced was sent


@pytest.mark.parametrize(
    "blocks",
    [(b"one two",), (b"one ", b"two"), (b"", b"on", b"e t", b"", b"wo"), (b"one t", b"wo")],
    ids=["at once", "alike", "by bits", "across"],
)
def test_the_rest_comes_out_of_another_answer(blocks: tuple[bytes, ...]) -> None:
    body = Body(*blocks)
    got, why = read(stopped(b"on", b"e "), answer(body))
    assert (b"".join(got), why, body.is_closed) == (b"one two", "", True)
    assert b"" not in got


def test_another_answer_may_begin_late_and_write_in_the_old_way() -> None:
    def again(start_response: Any) -> Iterator[bytes]:
        yield b""
        write = start_response("200 OK", HEAD)
        write(b"one")
        write(b" t")
        yield b"w"
        write(b"o")

    assert b"".join(read(stopped(b"one "), again)[0]) == b"one two"


@pytest.mark.parametrize(
    ("fields", "is_same"),
    [
        (
            [*HEAD, ("Date", "now"), ("Age", "1"), ("Cache-Status", "wsgistack; hit"), ("X-Request-Id", "2")],
            True,
        ),
        ([*HEAD, ("Expires", "Fri, 27 Nov 2026 09:00:00 GMT")], True),  # max-age counts
        ([(name.upper(), value) for name, value in reversed(HEAD)], True),
        ([*HEAD, ("Set-Cookie", "id=1")], False),
        ([*HEAD, ("ETag", '"b"')], False),
        ([FRESH[0], ("Cache-Control", "private, max-age=60"), HEAD[-1]], False),
        ([*FRESH, ("Content-Length", "8")], False),
    ],
)
def test_another_answer_has_the_same_head(fields: list[tuple[str, str]], is_same: bool) -> None:
    body = Body(b"one ", b"two")
    got, why = read(stopped(b"one "), answer(body, fields))
    assert (got == [b"one ", b"two"], body.is_closed) == (is_same, True)
    assert why == ("" if is_same else "its maker is gone; another answer has another head")


def test_a_moment_counts_where_no_age_does() -> None:
    def heads(*moments: str) -> list[list[tuple[str, str]]]:
        return [[FRESH[0], HEAD[-1], ("Expires", moment)] for moment in moments]

    first, second = heads("Fri, 27 Nov 2026 09:00:00 GMT", "0")
    with pytest.raises(Left, match="another head"):
        list(gone_on("200 OK", first, stopped(b"one "), answer([b"one two"], second)))
    assert b"".join(gone_on("200 OK", first, stopped(b"one "), answer([b"one two"], first))) == b"one two"


@pytest.mark.parametrize(
    ("again", "why"),
    [
        (answer([b"one two"], status="404 Not Found"), "another answer has another head"),
        (answer([b"One two"]), "another answer has another body"),
        (answer([b"on", b"E two"]), "another answer has another body"),
        (answer([b"one"]), "another answer is shorter"),
        (answer([]), "another answer is shorter"),
        (lambda start_response: [b"one two"], "another answer has another head"),  # it never said one
    ],
)
def test_a_client_gets_nothing_of_what_is_not_the_same_so_far(again: Any, why: str) -> None:
    assert read(stopped(b"one "), again) == ([b"one "], f"its maker is gone; {why}")


def test_an_application_that_fails_again_is_heard() -> None:
    class Gone(Exception):
        pass

    def again(start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", HEAD)
        yield b"one t"
        try:
            raise Gone
        except Gone as error:
            start_response("500 Gone", [], (Gone, error, None))

    got: list[bytes] = []
    with pytest.raises(Gone):
        got.extend(gone_on("200 OK", HEAD, stopped(b"one "), again))
    assert got == [b"one ", b"t"]


def test_who_leaves_in_the_middle_closes_what_he_was_sent() -> None:
    body = Body(b"one ", b"t", b"wo")
    blocks = gone_on("200 OK", HEAD, stopped(b"one "), answer(body))
    assert [next(blocks), next(blocks)] == [b"one ", b"t"]
    blocks.close()  # type: ignore[attr-defined]  # a generator, as servers see by its close
    assert body.is_closed
