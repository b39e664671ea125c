"""A page is shared only after its fills were equal, and the first difference is told by its place."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgistack.cache import verification
from wsgistack.cache.head import ResponseHead
from wsgistack.cache.verification import Checked, Verification, find_difference
from wsgistack.errors import SettingError

KEY = b"frame"
HEAD = ResponseHead(200, "OK", [("Content-Type", "text/html"), ("Date", "Sun, 06 Nov 1994 08:49:37 GMT")])


def test_a_page_is_shared_with_the_last_of_its_fills() -> None:
    fills = Verification(3)
    assert [fills.check(KEY, HEAD, b"page").may_share for _ in range(4)] == [False, False, True, True]
    assert fills.may_be_enough(KEY)


def test_a_token_is_found_by_its_place() -> None:
    fills = Verification(2)
    assert fills.check(KEY, HEAD, b"<input value=aaaa>") == Checked(may_share=False, equal_fills=1)
    checked = fills.check(KEY, HEAD, b"<input value=aaba>")
    assert checked == Checked(may_share=False, equal_fills=1, differs_at=15)
    assert fills.may_be_enough(KEY)  # with one more fill, if that is equal


def test_a_page_that_changed_is_shared_when_it_stays_as_it_is() -> None:
    fills = Verification(2)
    fills.check(KEY, HEAD, b"old")
    fills.check(KEY, HEAD, b"new")
    assert fills.check(KEY, HEAD, b"new").may_share


def test_a_page_that_was_verified_is_compared_anew_when_it_is_another_one() -> None:
    fills = Verification(2)
    bodies = [b"old", b"old", b"new", b"old", b"old", b"old"]
    shared = [fills.check(KEY, HEAD, body).may_share for body in bodies]
    assert shared == [False, True, False, False, True, True]


@pytest.mark.parametrize(
    ("status", "fields", "field"),
    [
        (200, [("Location", "/of/2")], "location"),
        (200, [("Location", "/of/1"), ("X-Nonce", "a")], "x-nonce"),
        (200, [], "location"),
        (302, [("Location", "/of/1")], "status"),
        (200, [("location", "/of/1")], ""),
        (200, [("Location", "/of/1"), ("Date", "now"), ("X-Request-Id", "7"), ("ETag", '"b"')], ""),
    ],
    ids=["another value", "one more", "one less", "status", "case", "of one fill"],
)
def test_what_stands_in_the_head_is_compared_but_for_what_is_about_one_fill(
    status: int, fields: list[tuple[str, str]], field: str
) -> None:
    fills = Verification(2)
    fills.check(KEY, ResponseHead(200, "OK", [("Location", "/of/1"), ("ETag", '"a"')]), b"")
    checked = fills.check(KEY, ResponseHead(status, "OK", fields), b"")
    assert (checked.may_share, checked.differs_in) == (not field, field)


def test_fields_in_another_order_are_another_page() -> None:
    fills = Verification(2)
    fills.check(KEY, ResponseHead(200, "OK", [("A", "1"), ("B", "2")]), b"")
    assert fills.check(KEY, ResponseHead(200, "OK", [("B", "2"), ("A", "1")]), b"").differs_in == "order"


def test_it_is_known_before_a_fill_whether_it_may_be_the_last_one() -> None:
    fills, known = Verification(3), []
    for _ in range(4):
        known.append(fills.may_be_enough(KEY))
        fills.check(KEY, HEAD, b"page")
    assert known == [False, False, True, True]


def test_pages_are_verified_apart() -> None:
    fills = Verification(2)
    fills.check(b"a", HEAD, b"page")
    assert not fills.check(b"b", HEAD, b"page").may_share


def test_an_empty_page_is_a_page() -> None:
    fills = Verification(2)
    fills.check(KEY, HEAD, b"")
    assert fills.check(KEY, HEAD, b"x").differs_at == 0


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "MOST_BYTES", 390)
    fills = Verification(2)
    fills.check(b"a", HEAD, b"123456")
    fills.check(b"b", HEAD, b"123456")
    assert not fills.check(b"a", HEAD, b"123456").may_share
    assert fills.check(b"a", HEAD, b"123456").may_share


def test_what_waits_is_counted_once_however_often_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "MOST_BYTES", 390)
    fills = Verification(9)
    assert [fills.check(KEY, HEAD, b"123456").equal_fills for _ in range(9)] == [1, 2, 3, 4, 5, 6, 7, 8, 9]


def test_fields_take_memory_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "MOST_BYTES", 2000)
    fills = Verification(2)
    large = ResponseHead(302, "Found", [("Location", "/" + "x" * 800)])
    for key in (b"a", b"b", b"a"):
        assert not fills.check(key, large, b"").may_share
    assert fills.check(b"a", large, b"").may_share


def test_what_is_verified_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "MOST_VERIFIED", 1)
    fills = Verification(2)
    for key in (b"a", b"a", b"b", b"b"):
        fills.check(key, HEAD, b"page")
    assert [fills.check(key, HEAD, b"page").may_share for key in (b"b", b"a")] == [True, False]


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
