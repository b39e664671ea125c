"""Keys on the wire: what goes as it is, what is hashed, and that two never meet."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgistack.errors import ArgumentError, ConfigurationError
from wsgistack.store.keys import Keys, WireKey


@pytest.mark.parametrize(
    ("prefix", "key", "wire"),
    [
        ("", "page:/news?id=1", b"page:/news?id=1"),
        ("mysite:", "page", b"mysite:page"),
        (b"mysite:", b"page", b"mysite:page"),
        ("", "k" * 250, b"k" * 250),
        ("p" * 100, "k" * 150, b"p" * 100 + b"k" * 150),
    ],
)
def test_a_plain_key_goes_as_it_is(prefix: str, key: str, wire: bytes) -> None:
    assert Keys(prefix).make(key) == WireKey(wire, None)


@pytest.mark.parametrize(
    "key", ["", "a b", "a\r\nset x 0 0 1", "\0", "\x7f", "Käse", "k" * 251, "h:", "h:abc", "\udcff"], ids=repr
)
def test_any_other_key_is_hashed_and_kept_beside_the_value(key: str) -> None:
    wire, full = Keys("site:").make(key)
    assert re.fullmatch(rb"site:h:[A-Za-z0-9_-]{27}", wire)
    assert full == key.encode("utf-8", "surrogatepass")
    assert Keys("site:").make(key.encode("utf-8", "surrogatepass")) == (wire, full)


def test_a_key_that_fits_only_without_the_prefix_is_hashed() -> None:
    assert Keys("p").make("k" * 250).full == b"k" * 250


@given(a=st.text(), b=st.text())
def test_two_keys_have_two_places(a: str, b: str) -> None:
    keys = Keys("x:")
    assert (keys.make(a).wire == keys.make(b).wire) == (a == b)


@pytest.mark.parametrize("prefix", ["a b", "é", "p" * 101, "a\n"], ids=repr)
def test_a_prefix_that_cannot_be_meant_is_refused(prefix: str) -> None:
    with pytest.raises(ConfigurationError, match="prefix"):
        Keys(prefix)


@pytest.mark.parametrize("key", [None, 7, ("a",)], ids=repr)
def test_what_is_no_key_is_refused(key: str) -> None:
    with pytest.raises(ArgumentError, match="neither str nor bytes"):
        Keys().make(key)
