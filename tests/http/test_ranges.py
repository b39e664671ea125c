"""Ranges.  RFC 9110 §14"""

import pytest

from wsgistack.http.ranges import ContentRange, Span, parse_content_range, resolve_range


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
