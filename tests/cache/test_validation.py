"""Validation and merging.  RFC 9111 §4.3, §3.2"""

from __future__ import annotations

import pytest

from wsgistack.cache.head import ResponseHead
from wsgistack.cache.validation import is_about, merge_fields, same_representation, validators_of


def head(**fields: str) -> ResponseHead:
    return ResponseHead(200, "OK", [(name.replace("_", "-"), value) for name, value in fields.items()])


def test_validators_are_sent_as_they_are() -> None:
    assert validators_of(head(ETag='W/"a"', Last_Modified="x")) == {
        "if-none-match": 'W/"a"',
        "if-modified-since": "x",
    }
    assert validators_of(head()) == {}


@pytest.mark.parametrize(
    ("stored", "answer", "is_it"),
    [
        ({"ETag": '"a"'}, {}, True),
        ({"ETag": '"a"'}, {"ETag": '"a"'}, True),
        ({"ETag": '"a"'}, {"ETag": '"b"'}, False),
        ({"ETag": 'W/"a"'}, {"ETag": '"a"'}, True),
        ({"ETag": '"a"'}, {"ETag": 'W/"b"'}, False),
        ({"Last_Modified": "x"}, {"Last_Modified": "x"}, True),
        ({"Last_Modified": "x"}, {"Last_Modified": "y"}, False),
        ({"Last_Modified": "x"}, {"ETag": '"a"', "Last_Modified": "x"}, True),
        ({"ETag": '"a"', "Last_Modified": "x"}, {"ETag": '"a"', "Last_Modified": "y"}, True),
    ],
    ids=str,
)  # §4.3.4
def test_a_304_is_about_the_page_that_it_names(
    stored: dict[str, str], answer: dict[str, str], is_it: bool
) -> None:
    assert is_about(head(**stored), head(**answer)) is is_it


@pytest.mark.parametrize(
    ("answer", "is_same"),
    [
        ({}, True),
        ({"ETag": '"a"', "Content_Length": "3", "Last_Modified": "x"}, True),
        ({"ETag": '"b"'}, False),
        ({"Content_Length": "4"}, False),
        ({"Last_Modified": "y"}, False),
        ({"X_Other": "1"}, True),
    ],
    ids=str,
)  # §4.3.5
def test_a_head_tells_whether_the_page_changed(answer: dict[str, str], is_same: bool) -> None:
    stored = head(ETag='"a"', Content_Length="3", Last_Modified="x")
    assert same_representation(stored, head(**answer)) is is_same


def test_a_merged_field_is_replaced_with_all_its_lines() -> None:
    stored = (("A", "1"), ("B", "1"), ("a", "2"), ("Content-Type", "t"), ("Content-Length", "3"))
    answer = (("a", "3"), ("A", "4"), ("C", "1"), ("Content-Type", "u"), ("Content-Length", "9"), ("TE", "x"))
    assert merge_fields(stored, (*answer, ("Set-Cookie", "a=b"), ("Content-Encoding", "br"))) == (
        ("B", "1"),
        ("Content-Type", "t"),
        ("Content-Length", "3"),
        ("a", "3"),
        ("A", "4"),
        ("C", "1"),
    )
