"""No-Vary-Search.  draft-ietf-httpbis-no-vary-search-10"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgistack.cache.search import Variance, parse_variance, read_words


@pytest.mark.parametrize(
    ("value", "variance"),
    [
        ("key-order", Variance(False, False, ())),
        ("key-order=?0", None),
        ("params", Variance(True, True, ())),
        ("params=?0", None),
        ('params=("a" "b c")', Variance(True, False, ("a", "b c"))),
        ('params=("%C3%A9+x")', Variance(True, False, ("é x",))),
        ("params=()", None),
        ('params, except=("id")', Variance(True, True, ("id",))),
        ('params, key-order, except=("id")', Variance(False, True, ("id",))),
        ('except=("id")', None),
        ('params=("a"), except=("id")', None),
        ("params=?1;x, unknown=1", Variance(True, True, ())),
        ("params=1", None),
        ("params=(a)", None),
        ("key-order=1", None),
        ("params, except", None),
        ("params,", None),
        ("Params", None),
        ("", None),
    ],
)
def test_a_field_is_read_or_everything_matters(value: str, variance: Variance | None) -> None:
    assert parse_variance(value) == variance


@pytest.mark.parametrize(
    ("value", "one", "other", "same"),
    [
        ("key-order", "a=1&b=2", "b=2&a=1", True),
        ("key-order", "a=1&a=2", "a=2&a=1", False),
        ("key-order", "a=1&b=2&a=3", "a=1&a=3&b=2", True),
        ("key-order", "a=1", "a=2", False),
        ("params", "a=1", "", True),
        ('params=("utm")', "a=1&utm=x", "a=1", True),
        ('params=("utm")', "a=1&utm=x", "a=2&utm=x", False),
        ('params=("utm")', "%75tm=x&a=1", "a=1", True),
        ('params, except=("id")', "x=1&id=1", "id=1&y=2", True),
        ('params, except=("id")', "id=1", "id=2", False),
        ('params=("x")', "a=%31", "a=1", True),
        ('params=("x")', "a+b=1", "a%20b=1", True),
        ('params=("x")', "a=1&b", "a=1&b=", True),
        ('params=("x")', "a=1%26b=2", "a=1&b=2", False),
    ],
)
def test_queries_mean_the_same(value: str, one: str, other: str, same: bool) -> None:
    variance = parse_variance(value)
    assert variance is not None
    assert (variance.normalise(one) == variance.normalise(other)) is same


def test_a_query_of_too_many_parameters_is_not_judged() -> None:
    assert Variance(True, True, ()).normalise("&".join(["a=1"] * 1000)) is None


@given(
    st.builds(Variance, st.booleans(), st.booleans(), st.lists(st.text(max_size=5), max_size=4).map(tuple))
)
def test_what_is_written_as_words_is_read(variance: Variance) -> None:
    words = variance.words()
    assert not any("," in word for word in words)
    assert read_words(words) == variance


def test_other_words_are_nothing() -> None:
    assert [read_words(words) for words in ((), ("2",), ("accept", "cookie"))] == [None, None, None]
