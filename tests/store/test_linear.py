"""The check of histories itself finds what is wrong."""

from __future__ import annotations

import pytest

from tests.store.linear import Seen, find_order

BEGIN = Seen(0, 1, "incr", 5, 101, 5)

RIGHT = {
    "nothing": [],
    "a counter that begins": [BEGIN],
    "what is not there": [Seen(0, 1, "gets", 0, 0, None), Seen(2, 3, "incr", 5, 101, 5)],
    "sums that overlap, in any order": [
        Seen(0, 9, "incr", 1, 102, 6),
        Seen(0, 9, "incr", 5, 101, 5),
        Seen(1, 8, "gets", 0, 0, None),
    ],
    "below zero it stops": [BEGIN, Seen(2, 3, "incr", -9, 102, 0)],
    "a swap, and the token that it used up": [
        BEGIN,
        Seen(2, 3, "gets", 0, 101, 5),
        Seen(4, 5, "cas", 70, 101, 1),
        Seen(6, 7, "cas", 80, 101, 0),
        Seen(8, 9, "gets", 0, 103, 70),
    ],
    "of two swaps that overlap the second is refused": [
        BEGIN,
        Seen(2, 9, "cas", 70, 101, 0),
        Seen(3, 8, "cas", 80, 101, 1),
    ],
}
WRONG = {
    "a sum that was lost": [BEGIN, Seen(2, 3, "incr", 1, 102, 6), Seen(4, 5, "incr", 1, 103, 6)],
    "a sum twice": [BEGIN, Seen(2, 3, "incr", 1, 102, 7)],
    "an old value after a new one": [
        BEGIN,
        Seen(2, 3, "incr", 1, 102, 6),
        Seen(4, 5, "gets", 0, 101, 5),
    ],
    "a sum that swallows a swap": [
        BEGIN,
        Seen(2, 3, "cas", 70, 101, 1),
        Seen(4, 5, "incr", 1, 102, 6),
    ],
    "two swaps by one token": [BEGIN, Seen(2, 9, "cas", 70, 101, 1), Seen(2, 9, "cas", 80, 101, 1)],
    "a swap behind a sum": [BEGIN, Seen(2, 3, "incr", 1, 102, 6), Seen(4, 5, "cas", 70, 101, 1)],
    "a swap that is refused for no reason": [BEGIN, Seen(2, 3, "cas", 70, 101, 0)],
    "a swap that was refused and made": [
        BEGIN,
        Seen(2, 3, "incr", 1, 102, 6),
        Seen(4, 5, "cas", 70, 101, 0),
        Seen(6, 7, "gets", 0, 103, 70),
    ],
    "a token that comes back": [BEGIN, Seen(2, 3, "incr", 1, 101, 6)],
    "an entry that vanishes": [BEGIN, Seen(2, 3, "gets", 0, 0, None)],
}


@pytest.mark.parametrize("history", RIGHT.values(), ids=RIGHT)
def test_what_can_be_explained_has_an_order(history: list[Seen]) -> None:
    order = find_order(history)
    assert order is not None
    assert sorted(order) == sorted(history)


@pytest.mark.parametrize("history", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("tokens_may_lag", [False, True])
def test_what_cannot_be_explained_has_none(history: list[Seen], tokens_may_lag: bool) -> None:
    assert find_order(history, tokens_may_lag=tokens_may_lag) is None


def test_a_new_value_with_the_token_before_it_has_an_order_only_where_that_is_allowed() -> None:
    history = [
        BEGIN,
        Seen(2, 9, "incr", 1, 102, 6),
        Seen(3, 4, "gets", 0, 101, 6),
        Seen(5, 6, "cas", 70, 101, 0),
    ]
    assert find_order(history) is None
    assert find_order(history, tokens_may_lag=True) == [history[0], history[1], history[2], history[3]]
