"""Who comes first, plain and compiled: the same tokens, marks and buckets."""

from __future__ import annotations

import os
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import examples
from wsgistack import lot, lot_cy, passage, passage_cy
from wsgistack.splits import make_key, mark_of, parse_splits

TWINS = [lot, lot_cy]
BOTH = pytest.mark.parametrize("twin", TWINS, ids=["plain", "compiled"])
KEY = make_key("0123456789abcdef")
SPLITS = parse_splits("beta 5%; button: green 30% up to 40%, red 30%; all 100%")


def lots_of(twin: ModuleType, splits: Any = SPLITS) -> Any:
    return twin.Lots(KEY, splits, "b", "; Path=/")


def greeted(twin: ModuleType, lots: Any, scheme: str | None = None) -> tuple[str, list[tuple[str, str]]]:
    """Return a new visitor, and what his response has besides."""
    module = passage if twin is lot else passage_cy
    sent: list[tuple[str, str]] = []
    environ = {} if scheme is None else {"wsgi.url_scheme": scheme}
    frame = module.Passage(environ, lambda status, headers: sent.extend(headers), (), lambda: 0)
    visitor = lots.greet(environ, frame)
    frame.start_response("200 OK", [])
    return visitor, sent


@BOTH
@pytest.mark.parametrize(
    ("scheme", "secure"), [(None, ""), ("http", ""), ("https", "; Secure")], ids=["none", "http", "https"]
)
def test_who_comes_first_is_told_by_a_signed_cookie(
    twin: ModuleType, scheme: str | None, secure: str
) -> None:
    visitor, sent = greeted(twin, lots_of(twin), scheme)
    assert sent == [("Set-Cookie", f"b={visitor}.{mark_of(KEY, visitor)}; Path=/{secure}")]
    assert len(visitor) == 24 and int(visitor, 16) >= 0


@BOTH
def test_no_two_are_given_the_same_token(twin: ModuleType) -> None:
    lots = lots_of(twin)
    assert len({greeted(twin, lots)[0] for _ in range(5 * lot.DRAWN_AT_ONCE)}) == 5 * lot.DRAWN_AT_ONCE


@BOTH
def test_a_fork_gives_none_of_the_tokens_that_its_parent_drew(
    twin: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    lots = lots_of(twin)
    greeted(twin, lots)
    lots.forked()
    monkeypatch.setattr(os, "urandom", lambda size: b"\1" * size)
    assert greeted(twin, lots)[0] == "01" * 12


@given(st.text(min_size=1, max_size=300))
@settings(max_examples=examples(100))
def test_the_twins_find_the_same_buckets(visitor: str) -> None:
    plain, compiled = lots_of(lot), lots_of(lot_cy)
    wanted = tuple((split.name, split.bucket(KEY, lot.as_bytes(visitor))) for split in SPLITS)
    for found in (plain.find(visitor), compiled.find(visitor), compiled.find(visitor)):
        assert found == (wanted, "b=" + lot.label_of([bucket for _, bucket in wanted]))


@given(st.text(st.characters(codec="utf-8"), max_size=300))
@settings(max_examples=examples(100))
def test_the_twins_sign_the_same(visitor: str) -> None:
    assert lots_of(lot).mark_of(visitor) == lots_of(lot_cy).mark_of(visitor) == mark_of(KEY, visitor)


@BOTH
def test_what_is_found_of_one_split_is_that_bucket_or_none(twin: ModuleType) -> None:
    lots = lots_of(twin, parse_splits("beta 50%"))
    found = [lots.find(str(number)) for number in range(200)]
    assert set(found) == {((("beta", "beta"),), "b=beta"), ((("beta", ""),), "b=-")}


@BOTH
def test_a_key_of_another_length_is_refused(twin: ModuleType) -> None:
    with pytest.raises(ValueError, match="key: 31 bytes, not 32"):
        twin.Lots(KEY[1:], SPLITS, "b", "")


@BOTH
def test_nobody_has_no_buckets(twin: ModuleType) -> None:
    with pytest.raises(ValueError, match="without a name"):
        lots_of(twin).find("")
