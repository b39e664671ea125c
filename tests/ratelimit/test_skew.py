"""Processes whose clocks differ share limits: that is an error of as much time, never a limit for each clock."""

from __future__ import annotations

import pytest

from tests.ratelimit.appending import Appender
from tests.ratelimit.test_journal import SECOND, journal
from wsgistack.ratelimit.algorithms import make_counter
from wsgistack.ratelimit.rates import parse_rates

MINUTE = 60 * SECOND
BORDER = 29_916_667 * MINUTE  # where a window of a minute ends, by all algorithms that cut time

# What is admitted around a border, by the words of each algorithm.
MOST = {
    "10/minute": 10,
    "10/minute exact": 10,
    "10/minute sliding": 10,
    "10/minute fixed": 20,
    "10/calendar minute": 20,
}


@pytest.mark.parametrize("skew", [0, 1, 1000, SECOND])
@pytest.mark.parametrize("rate", MOST)
def test_two_clocks_admit_no_more_around_a_border_than_one(rate: str, skew: int) -> None:
    store = Appender()
    behind, ahead = journal(rate, store=store), journal(rate, store=store)
    begins = BORDER - max(skew, 1)
    admitted = [behind.decide_one(0, b"k", 1, begins - 10)[0] for _ in range(9)].count(0)
    for step in range(60):
        now = begins + step * max(skew, 1) // 20  # from where only the one clock is past the border on
        for table, clock in ((ahead, now + skew), (behind, now)):
            table._denied.clear()
            admitted += table.decide_one(0, b"k", 1, clock)[0] == 0
    assert 10 <= admitted <= MOST[rate]


@pytest.mark.parametrize("behind", [1, 7_000_000, 59_000_000])
def test_a_sliding_window_tells_who_is_behind_when_there_is_room(behind: int) -> None:
    """It is as long as his own clock takes to get there."""
    counter, state = make_counter(parse_rates("10/minute sliding")[0]), None
    for now, cost in ((BORDER - 1, 9), (BORDER, 1)):
        wait, state = counter.decide(state, now, cost)
        assert wait == 0
    now = BORDER - behind
    wait, same = counter.decide(state, now, 1)
    assert same == state
    assert counter.quota(state, now) == (0, wait)
    assert counter.decide(state, BORDER, 1)[0] == wait - behind
    assert counter.decide(state, now + wait - 1, 1)[0] == 1
    assert counter.decide(state, now + wait, 1)[0] == 0
