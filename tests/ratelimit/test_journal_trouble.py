"""Limits in a store that can append, while it is in trouble: what is lost, given back, and counted once."""

from __future__ import annotations

from typing import Any

import pytest

from tests.ratelimit.appending import Appender
from tests.ratelimit.test_journal import NOW, SECOND, journal
from wsgistack.errors import StoreError
from wsgistack.ratelimit.journal import JournalTable


def test_a_log_that_vanishes_in_the_middle_is_asked_again() -> None:
    store = Appender()
    ours = journal("2/hour", store=store)
    store.between = store.clear
    assert ours.decide_one(0, b"k", 1, NOW)[0] == 0
    assert store.trips == 2


def test_a_store_that_keeps_nothing_is_in_trouble() -> None:
    class Forgetful(Appender):
        def append_many(self, additions: Any) -> Any:
            found = super().append_many(additions)
            self.clear()
            return [one._replace(value=b"") for one in found]

    ours = journal("2/hour", store=Forgetful())
    assert [ours.decide_one(0, b"k", 1, NOW)[0] > 0 for _ in range(3)] == [False, False, True]
    assert ours.trouble == 1


@pytest.mark.parametrize(
    ("policy", "waits"),
    [
        ("local", [0, 0, 1800 * SECOND, 1800 * SECOND]),
        ("open", [0, 0, 0, 0]),
        ("closed", [SECOND, SECOND, SECOND, SECOND]),
    ],
)
def test_trouble_of_the_store_is_not_the_clients(policy: str, waits: list[int]) -> None:
    store = Appender()
    store.down = True
    ours = journal("2/hour", store=store, on_store_error=policy)
    assert [ours.decide_one(0, b"k", 1, NOW)[0] for _ in range(4)] == waits
    assert (store.trips, ours.trouble) == (1, 1), "it is left alone for a second"
    store.down = False
    assert ours.decide_one(0, b"k", 1, NOW + 2 * SECOND)[0] == 0


def test_trouble_while_something_is_settled_is_settled_here() -> None:
    store = Appender()
    store.down = True
    ours = journal("2/hour", store=store)
    ours.charge([(0, b"k", 2)], NOW)
    assert ours.decide_one(0, b"k", 1, NOW)[0] > 0
    _, taken = ours.decide_one(0, b"other", 2, NOW)
    ours.give_back([((0, b"other", 2), taken)], NOW)
    assert ours.decide_one(0, b"other", 2, NOW)[0] == 0
    with pytest.raises(StoreError):
        store.append_many([])


def places(table: JournalTable) -> int:
    return len(table.get(0, b"k") or ())


def test_a_place_that_a_hanging_store_took_for_nobody_is_given_back() -> None:
    """It reads on what it was sent, when the request was long decided without it."""
    store = Appender()
    ours = journal("2 concurrent", store=store)
    store.silent = True
    for second in (0, 2):
        assert ours.decide_one(0, b"k", 1, NOW + second * SECOND)[0] == 0
    store.silent = False
    assert places(ours) == 2
    assert ours.decide_one(0, b"k", 1, NOW + 4 * SECOND)[0] == SECOND, "all are taken"
    assert ours.decide_one(0, b"other", 1, NOW + 4 * SECOND + 250_000)[0] == 0
    assert places(ours) == 0
    trips = store.trips
    assert ours.decide_one(0, b"k", 1, NOW + 5 * SECOND)[0] == 0
    assert store.trips == trips + 1


@pytest.mark.parametrize("trouble", ["down", "silent"])
def test_a_place_whose_release_failed_is_given_back_later(trouble: str) -> None:
    store = Appender()
    ours = journal("2 concurrent", store=store)
    taken = [ours.decide_one(0, b"k", 1, NOW + i)[1] for i in range(2)]
    setattr(store, trouble, True)
    for state in taken:
        ours.give_back([((0, b"k", 1), state)], NOW + SECOND)  # the second while the store is left alone
    setattr(store, trouble, False)
    assert ours.decide_one(0, b"other", 1, NOW + 2 * SECOND)[0] == 0
    setattr(store, trouble, True)
    ours.decide_one(0, b"other", 1, NOW + 3 * SECOND)  # and it fails again before they are given back
    setattr(store, trouble, False)
    for at in (5_000_000, 5_250_000):
        assert ours.decide_one(0, b"other", 1, NOW + at)[0] in (0, SECOND)
    assert places(ours) == 0


def test_what_a_hanging_store_counted_of_a_rate_stays_counted() -> None:
    """The request has passed; giving it back might give back what was never taken."""
    store = Appender()
    ours = journal("2/hour", "5 concurrent", store=store)
    store.silent = True
    assert ours.decide([(0, b"k", 1), (1, b"k", 1)], NOW)[0] == -1
    store.silent = False
    for at in (2_000_000, 2_250_000):
        ours.decide([(0, b"other", 1), (1, b"other", 1)], NOW + at)
    assert ours.get(0, b"k") == NOW + 1800 * SECOND
    assert ours.get(1, b"k") is None


def test_a_place_stays_in_doubt_when_giving_it_back_fails_too() -> None:
    store = Appender()
    ours = journal("1 concurrent", "1/hour", store=store, apart=True)
    claims = [(0, b"k", 1), (1, b"k", 1)]
    _, _, states = ours.decide(claims, NOW)
    ours.give_back([((0, b"k", 1), states[0] or 0)], NOW)
    ours._denied.clear()
    trips = store.trips

    def fail() -> None:
        store.down = True

    store.between = fail  # the decision is answered; what the refused request took is not given back
    ours.decide(claims, NOW + SECOND)
    assert (store.trips, places(ours)) == (trips + 2, 1)
    store.down = False
    assert ours.decide_one(0, b"other", 1, NOW + 3 * SECOND)[0] == 0
    store.between = fail
    ours.decide_one(0, b"another", 1, NOW + 4 * SECOND)
    assert places(ours) == 1, "the store failed once more"
    store.down = False
    for at in (6_000_000, 6_250_000):
        ours.decide_one(0, b"third", 1, NOW + at)
    assert places(ours) == 0
