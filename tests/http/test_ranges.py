"""Ranges.  RFC 9110 §14"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import examples
from wsgistack.http.ranges import (
    ContentRange,
    Span,
    make_multipart,
    parse_content_range,
    resolve_range,
    resolve_ranges,
)


@pytest.mark.parametrize(
    ("value", "met"),
    [
        ("bytes=0-1", Span(0, 1)),
        ("bytes=1-", Span(1, 10)),
        ("bytes=-5", Span(6, 10)),
        ("bytes=-99", Span(0, 10)),
        ("bytes=5-99", Span(5, 10)),
        ("Bytes = 10-10 ", Span(10, 10)),
        ("bytes=11-", False),
        ("bytes=-0", False),
        ("bytes=5-4", None),
        ("bytes=0-1,3-4", None),
        ("bytes=", None),
        ("bytes=-", None),
        ("lines=0-1", None),
        ("bytes=1-" + "9" * 100, None),
    ],
)
def test_a_range_of_eleven_bytes(value: str, met: object) -> None:
    assert resolve_range(value, 11) == met


@pytest.mark.parametrize(
    ("value", "met"),
    [
        ("bytes=0-1", [Span(0, 1)]),
        ("bytes=0-1,", [Span(0, 1)]),
        ("bytes=999-", [Span(999, 999)]),
        ("bytes=1000-", False),
        ("bytes=0-9,500-509", [Span(0, 9), Span(500, 509)]),
        ("bytes = 500-509 ,\t, 0-9", [Span(500, 509), Span(0, 9)]),
        ("bytes=-10, 0-9", [Span(990, 999), Span(0, 9)]),
        ("bytes=0-9, 2000-", [Span(0, 9)]),
        ("bytes=2000-, 3000-3001, -0", False),
        # near each other, or the same again: one
        ("bytes=0-9,5-14", [Span(0, 14)]),
        ("bytes=0-9,10-19", [Span(0, 19)]),
        ("bytes=0-9,110-119", [Span(0, 9), Span(110, 119)]),
        ("bytes=0-9,109-119", [Span(0, 119)]),
        ("bytes=300-309,0-9,600-609,290-299", [Span(290, 309), Span(0, 9), Span(600, 609)]),
        ("bytes=0-9,300-309,50-290", [Span(0, 309)]),
        ("bytes=-1,-2,-3,-4", [Span(996, 999)]),
        ("bytes=" + ",".join(["500-509"] * 32), [Span(500, 509)]),
        ("bytes=0-,0-,0-", [Span(0, 999)]),
        # as much to send as the whole
        ("bytes=0-399,600-999", True),
        ("bytes=0-9,200-209,400-409,600-609,800-809", [Span(n, n + 9) for n in (0, 200, 400, 600, 800)]),
        ("bytes=" + ",".join(f"{n}-{n}" for n in range(0, 1000, 102)), True),
        # too many, or no ranges at all
        ("bytes=" + ",".join(["0-0"] * 33), True),
        ("bytes=0-," + ",".join(f"5-{n}" for n in range(1300)), True),
        ("bytes=0-9,5-4", True),
        ("bytes=0-9,x", True),
        ("bytes=0-9,bytes=500-509", True),
        ("bytes=-9223372036854758792,-17208", True),
        ("lines=0-9,500-509", True),
        ("bytes=,", True),
        ("bytes", True),
        ("", True),
    ],
    ids=lambda value: str(value)[:40],
)
def test_several_ranges_of_a_thousand_bytes(value: str, met: object) -> None:
    assert resolve_ranges(value, 1000) == met


@given(
    asked=st.lists(st.tuples(st.integers(0, 2999), st.integers(0, 400)), min_size=2, max_size=32),
)
@settings(max_examples=examples(100), deadline=None)
def test_every_byte_that_is_asked_for_is_sent_once_and_no_more_than_the_whole(
    asked: list[tuple[int, int]],
) -> None:
    value = "bytes=" + ",".join([f"{first}-{first + more}" for first, more in asked])
    wanted = {byte for first, more in asked for byte in range(first, min(first + more, 1999) + 1)}
    met = resolve_ranges(value, 2000)
    if met is False:
        assert not wanted
    elif met is not True:
        sent = [byte for span in met for byte in range(span.first, span.last + 1)]
        assert len(sent) == len(set(sent)) <= 2000
        assert wanted <= set(sent)
        assert len(met) == 1 or len(make_multipart(bytes(2000), met, "text/html")[1]) < 2000 + 100


def test_parts_stand_behind_heads_of_their_own() -> None:
    content_type, body = make_multipart(bytes(range(65, 91)), [Span(0, 2), Span(24, 25)], "text/plain")
    boundary = "142250bd810d0b6853600a70e572c85a"
    assert content_type == f"multipart/byteranges; boundary={boundary}"
    assert (
        body
        == (
            f"--{boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-2/26\r\n\r\nABC\r\n"
            f"--{boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes 24-25/26\r\n\r\nYZ\r\n"
            f"--{boundary}--\r\n"
        ).encode()
    )


def test_parts_of_what_has_no_type_have_none() -> None:
    _, body = make_multipart(b"0123456789", [Span(0, 0), Span(9, 9)], None)
    assert b"Content-Type" not in body


def test_what_separates_parts_is_another_thing_for_other_parts() -> None:
    one, other = [make_multipart(body, [Span(0, 1), Span(4, 5)], None)[0] for body in (b"012345", b"012346")]
    assert one != other


def test_nothing_of_an_empty_body_can_be_satisfied() -> None:
    assert resolve_range("bytes=0-", 0) is False
    assert resolve_range("bytes=-1", 0) is False


@pytest.mark.parametrize(
    ("value", "met"),
    [
        ("bytes 0-4/10", ContentRange(Span(0, 4), 10)),
        ("bytes 0-4/*", ContentRange(Span(0, 4), None)),
        ("bytes 0-10/10", None),
        ("bytes 5-4/10", None),
        ("bytes */10", None),
        ("ananas", None),
    ],
)
def test_a_content_range_is_whole_and_true_or_nothing(value: str, met: ContentRange | None) -> None:
    assert parse_content_range(value) == met


def test_a_span_knows_its_length() -> None:
    assert Span(5, 9).length == 5
