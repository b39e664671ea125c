"""Structured fields beside http-sf, which follows the RFC's own algorithm.  RFC 9651"""

from datetime import datetime
from decimal import Decimal
from typing import Any

import http_sf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgistack.http.structured import (
    Date,
    Display,
    Inner,
    Item,
    Token,
    parse_dictionary,
    parse_item,
    parse_list,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-15", -15),
        ("1.5", 1.5),
        ('"a b"', "a b"),
        (r'"a\"\\b"', 'a"\\b'),
        ("tok/en:*", Token("tok/en:*")),
        (":YWJj:", b"abc"),
        ("?1", True),
        ("?0", False),
        ("@1659578233", Date(1659578233)),
        ('%"f%c3%bc"', Display("fü")),
    ],
)
def test_an_item_is_read(text: str, value: object) -> None:
    assert parse_item(text) == Item(value, {})  # type: ignore[arg-type]  # any of the bare types
    assert type(parse_item(text).value) is type(value)  # type: ignore[union-attr]  # it is not None


@pytest.mark.parametrize(
    "text",
    ["", "1.", ".5", "1.2345", "1234567890123456", '"open', '"\x7f"', r'"\a"', "?2", ":a:", "@1.5", '%"%C3"', '%"%ff"', "é", "a b", "--1", "a;", "a;B"],
)  # fmt: skip
def test_what_breaks_the_grammar_is_nothing(text: str) -> None:
    assert parse_item(text) is None


def test_a_list_has_items_and_inner_lists() -> None:
    assert parse_list('"a";n=1, (b  c);x') == (
        Item("a", {"n": 1}),
        Inner((Item(Token("b"), {}), Item(Token("c"), {})), {"x": True}),
    )
    assert parse_list("") == ()
    assert [parse_list(text) for text in ("a,", "a b", "(a", "(a(b))", "a,,b")] == [None] * 5


def test_of_a_key_that_stands_twice_the_last_counts() -> None:
    assert parse_dictionary("a=1, b, a=2;x=?0") == {"b": Item(True, {}), "a": Item(2, {"x": False})}
    assert parse_dictionary("A=1") is None
    assert parse_dictionary("a=1, ") is None


def test_a_field_of_absurd_length_is_nothing() -> None:
    assert parse_list(", ".join(["a"] * 20_000)) is None


def _plain(met: Any) -> Any:
    """What http-sf gives, in our words."""
    if isinstance(met, tuple):
        value, parameters = met
        values = {key: _plain(one) for key, one in parameters.items()}
        if isinstance(value, list):
            return (tuple(_plain(one) for one in value), values)
        return (_plain(value), values)
    if isinstance(met, Decimal):
        return float(met)
    if isinstance(met, datetime):
        return int(met.timestamp())
    return met if isinstance(met, bool | int | bytes) else str(met)


GRAMMAR = st.text(alphabet='aA1*-. ,;=()":?@%\\\t/', max_size=24)


@given(GRAMMAR)
def test_a_dictionary_is_read_as_http_sf_reads_it(text: str) -> None:
    try:
        expected: Any = http_sf.parse(text.encode(), tltype="dictionary")
    except ValueError:
        expected = None
    ours = parse_dictionary(text)
    assert (None if ours is None else {key: tuple(one) for key, one in _tuples(ours).items()}) == (
        None if expected is None else {key: _plain(one) for key, one in expected.items()}
    )


def _tuples(members: dict[str, Item | Inner]) -> dict[str, Any]:
    return {
        key: (tuple(tuple(item) for item in one.items), one.parameters) if isinstance(one, Inner) else one
        for key, one in members.items()
    }
