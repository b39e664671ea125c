"""What is still to be removed: the newest debt of a key counts, and there is an end to them."""

from __future__ import annotations

import pytest

from wsgistack.store import debts
from wsgistack.store.debts import Debts


def test_what_was_removed_is_forgotten_but_not_what_is_owed_anew() -> None:
    owed = Debts()
    owed.owe(["a", "b"])
    due = owed.due(0.0)
    owed.owe(["b"])
    owed.settle(due)
    assert ("a" in owed, "b" in owed, bool(owed)) == (False, True, True)
    owed.settle(owed.of(["b", "c"]))
    assert not owed


def test_nothing_is_due_before_the_time_it_was_put_off_to() -> None:
    owed = Debts()
    owed.owe(["a"])
    owed.put_off(5.0)
    assert (owed.due(4.9), [*owed.due(5.0)]) == ({}, ["a"])


def test_they_have_an_end_and_come_due_in_parts_the_oldest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debts, "MOST", 3)
    monkeypatch.setattr(debts, "MOST_AT_ONCE", 2)
    owed = Debts()
    for key in "abcad":
        owed.owe([key])
    assert [*owed.due(0.0)] == ["c", "a"]
    assert [*owed.of("abcd")] == ["a", "c", "d"]


def test_what_could_not_be_removed_is_due_after_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debts, "MOST_AT_ONCE", 2)
    owed = Debts()
    for key in "abcd":
        owed.owe([key])
    owed.put_off(5.0, failed=owed.due(0.0))
    assert [*owed.due(5.0)] == ["c", "d"]
    assert [*owed.of("abcd")] == ["a", "b", "c", "d"]
