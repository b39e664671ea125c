"""Conditions: tags, dates, and what a stored response answers.  RFC 9110 §8.8.3, §13; RFC 9111 §4.3.2"""

import pytest

from wsgistack.http.conditional import (
    evaluate,
    is_strong,
    parse_etags,
    range_applies,
    same_strong,
    same_weak,
)

OLD, MODIFIED, NEW = (
    "Sun, 06 Nov 1994 08:49:36 GMT",
    "Sun, 06 Nov 1994 08:49:37 GMT",
    "Sun, 06 Nov 1994 08:49:38 GMT",
)


def test_tags_are_quoted_and_may_be_weak() -> None:
    assert parse_etags('"a", W/"b,c" ,,"\xe9"') == ('"a"', 'W/"b,c"', '"\xe9"')
    assert parse_etags('"a", b, "c"') == ('"a"',)
    assert parse_etags("a") == ()


@pytest.mark.parametrize(
    ("one", "other", "strong", "weak"),
    [
        ('W/"1"', 'W/"1"', False, True),
        ('W/"1"', 'W/"2"', False, False),
        ('W/"1"', '"1"', False, True),
        ('"1"', '"1"', True, True),
    ],
)  # the RFC's own table
def test_tags_are_compared_strongly_and_weakly(one: str, other: str, strong: bool, weak: bool) -> None:
    assert (same_strong(one, other), same_weak(one, other)) == (strong, weak)


def test_only_a_quoted_tag_is_strong() -> None:
    assert [is_strong(tag) for tag in ('"a"', 'W/"a"', "a", None)] == [True, False, False, False]


@pytest.mark.parametrize(
    ("none_match", "since", "etag", "modified", "status"),
    [
        (None, None, '"a"', MODIFIED, 200),
        ('"a"', None, '"a"', None, 304),
        ('"x", "a"', None, 'W/"a"', None, 304),
        ("*", None, None, None, 304),
        ('"x"', MODIFIED, '"a"', MODIFIED, 200),
        ('"a"', OLD, '"a"', MODIFIED, 304),
        ('"a"', None, None, None, 200),
        (None, MODIFIED, None, MODIFIED, 304),
        (None, NEW, None, MODIFIED, 304),
        (None, OLD, None, MODIFIED, 200),
        (None, "Sunday, 06-Nov-94 08:49:37 GMT", None, MODIFIED, 304),
        (None, "yesterday", None, MODIFIED, 200),
        (None, MODIFIED, None, "yesterday", 200),
        (None, MODIFIED, None, None, 304),
        (None, OLD, None, None, 200),
    ],
)
def test_if_none_match_goes_first_and_dates_follow(
    none_match: str | None, since: str | None, etag: str | None, modified: str | None, status: int
) -> None:
    met = evaluate(
        none_match=none_match, modified_since=since, etag=etag, last_modified=modified, date=784111777
    )
    assert met == status


@pytest.mark.parametrize(
    ("if_range", "applies"),
    [
        (None, True),
        ('"a"', True),
        ('W/"a"', False),
        ('"b"', False),
        (MODIFIED, True),
        (NEW, False),
        ("x", False),
    ],
)
def test_a_range_counts_for_the_very_same_bytes_only(if_range: str | None, applies: bool) -> None:
    assert range_applies(if_range, etag='"a"', last_modified=MODIFIED) is applies
