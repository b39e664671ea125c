"""The timer wheel: never late by more than a tick, early only where its owner asks again."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsgistack.balancer.plane.parts import TimerWheel

NOW = 1_000_000
TICK = 50
ROUND = 1024 * TICK


def fires_at(wheel: TimerWheel, number: int, until: int) -> int | None:
    """Return the time at which *number* fires when the wheel is run each tick."""
    for now in range(NOW, NOW + until, TICK):
        if number in wheel.run(now):
            return now - NOW
    return None


@pytest.mark.parametrize("after", [0, 1, 49, 50, 51, 1000, 20_000, ROUND - TICK, ROUND, ROUND + 1, 5 * ROUND])
def test_a_timer_fires_once_within_two_ticks_of_its_time_and_never_before(after: int) -> None:
    wheel = TimerWheel(NOW)
    wheel.at_most(7, NOW + after)
    fired = fires_at(wheel, 7, after + 10 * TICK)
    assert fired is not None
    assert after <= fired <= after + 2 * TICK
    assert wheel.count == 0
    assert wheel.run(NOW + 10 * ROUND) == []


def test_an_earlier_deadline_moves_a_timer_and_a_later_one_does_not() -> None:
    wheel = TimerWheel(NOW)
    wheel.at_most(0, NOW + 1000)
    wheel.at_most(0, NOW + 5000)
    wheel.at_most(1, NOW + 5000)
    wheel.at_most(1, NOW + 1000)
    assert sorted(wheel.run(NOW + 1100)) == [0, 1]
    assert wheel.count == 0


def test_a_cancelled_timer_does_not_fire_and_may_be_set_again() -> None:
    wheel = TimerWheel(NOW)
    wheel.at_most(3, NOW + 100)
    wheel.cancel(3)
    wheel.cancel(3)
    assert wheel.run(NOW + 1000) == []
    wheel.at_most(3, NOW + 1100)
    assert wheel.run(NOW + 1200) == [3]


def test_after_a_long_pause_everything_due_fires_and_nothing_else() -> None:
    wheel = TimerWheel(NOW)
    for number, after in enumerate([10, 30_000, 3 * ROUND, 9 * ROUND]):
        wheel.at_most(number, NOW + after)
    assert sorted(wheel.run(NOW + 4 * ROUND)) == [0, 1, 2]
    assert wheel.count == 1
    assert wheel.run(NOW + 9 * ROUND + 2 * TICK) == [3]


@given(st.lists(st.integers(0, 4 * ROUND), min_size=1, max_size=64), st.integers(20 * TICK, 3 * ROUND))
@settings(deadline=None)
def test_no_timer_is_lost_whenever_the_wheel_is_run(deadlines: list[int], step: int) -> None:
    wheel = TimerWheel(NOW)
    for number, after in enumerate(deadlines):
        wheel.at_most(number, NOW + after)
    fired: set[int] = set()
    now = 0
    while now <= 4 * ROUND + 2 * TICK:
        now += step
        for number in wheel.run(NOW + now):
            assert deadlines[number] <= now
            fired.add(number)
        assert {n for n, after in enumerate(deadlines) if after + 2 * TICK <= now} <= fired
    assert fired == set(range(len(deadlines)))
