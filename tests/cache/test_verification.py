"""A page is shared only after its fills were equal, and the first difference is told by its place."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgistack.cache import verification
from wsgistack.cache.verification import Checked, Verification, find_difference
from wsgistack.errors import SettingError

KEY = b"frame"


def test_a_page_is_shared_with_the_last_of_its_fills() -> None:
    fills = Verification(3)
    assert [fills.check(KEY, b"page").may_share for _ in range(4)] == [False, False, True, True]
    assert fills.is_verified(KEY)


def test_a_token_is_found_by_its_place() -> None:
    fills = Verification(2)
    assert fills.check(KEY, b"<input value=aaaa>") == Checked(may_share=False, equal_fills=1)
    checked = fills.check(KEY, b"<input value=aaba>")
    assert checked == Checked(may_share=False, equal_fills=1, differs_at=15)
    assert not fills.is_verified(KEY)


def test_a_page_that_changed_is_shared_when_it_stays_as_it_is() -> None:
    fills = Verification(2)
    fills.check(KEY, b"old")
    fills.check(KEY, b"new")
    assert fills.check(KEY, b"new").may_share


def test_pages_are_verified_apart() -> None:
    fills = Verification(2)
    fills.check(b"a", b"page")
    assert not fills.check(b"b", b"page").may_share


def test_an_empty_page_is_a_page() -> None:
    fills = Verification(2)
    fills.check(KEY, b"")
    assert fills.check(KEY, b"x").differs_at == 0


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "MOST_BYTES", 10)
    fills = Verification(2)
    fills.check(b"a", b"123456")
    fills.check(b"b", b"123456")
    assert not fills.check(b"a", b"123456").may_share
    assert fills.check(b"a", b"123456").may_share


def test_what_is_verified_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "MOST_VERIFIED", 1)
    fills = Verification(2)
    for key in (b"a", b"a", b"b", b"b"):
        fills.check(key, b"page")
    assert (fills.is_verified(b"a"), fills.is_verified(b"b")) == (False, True)


@pytest.mark.parametrize("fills", [0, 1, 101, True, "2", 2.0], ids=repr)
def test_a_number_that_cannot_be_meant_is_refused(fills: Any) -> None:
    with pytest.raises(SettingError, match="verify: "):
        Verification(fills)


@given(st.binary(max_size=40), st.binary(max_size=40), st.binary(max_size=40))
def test_the_place_is_the_first(start: bytes, one: bytes, other: bytes) -> None:
    one, other = start + one, start + other
    at = find_difference(one, other)
    assert one[:at] == other[:at]
    assert one[at : at + 1] != other[at : at + 1] or one == other
