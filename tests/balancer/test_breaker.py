"""A pool's circuit breaker."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgistack.balancer.breaker import Breaker, BreakerRules

RULES = BreakerRules(percent=50, requests=10, open_s=5.0, share=20)
OPEN = Breaker().seen(good=0, bad=10, window=(0, 10), rules=RULES, now=100.0)


def see(breaker: Breaker, good: int, bad: int, now: float, rules: BreakerRules = RULES) -> Breaker:
    return breaker.seen(good=good, bad=bad, window=(good, bad), rules=rules, now=now)


@pytest.mark.parametrize(
    ("good", "bad", "state"),
    [(0, 9, "closed"), (0, 10, "open"), (5, 5, "open"), (6, 5, "closed"), (100, 0, "closed")],
)
def test_it_opens_when_enough_requests_fail(good: int, bad: int, state: str) -> None:
    assert see(Breaker(), good, bad, 100.0).state == state


def test_it_does_not_open_because_of_a_window_in_which_nothing_new_failed() -> None:
    assert Breaker().seen(good=1, bad=0, window=(0, 50), rules=RULES, now=100.0).state == "closed"


def test_an_open_one_lets_nothing_through_and_a_half_open_one_a_share() -> None:
    half_open = see(OPEN, 0, 0, 105.0)
    assert [b.state for b in (Breaker(), OPEN, half_open)] == ["closed", "open", "half_open"]
    assert [b.admits(RULES) for b in (Breaker(), OPEN, half_open)] == [100, 0, 20]


def test_it_stays_open_for_its_time() -> None:
    assert [see(OPEN, 0, 3, now).state for now in (100.1, 104.9, 105.0)] == ["open", "open", "open"]
    assert [see(OPEN, 0, 0, now).state for now in (100.1, 104.9, 105.0)] == ["open", "open", "half_open"]


@pytest.mark.parametrize(
    ("tries", "state"),
    [
        ([(2, 0)], "half_open"),
        ([(2, 0), (1, 0)], "closed"),
        ([(2, 1)], "closed"),
        ([(1, 2)], "open"),
        ([(0, 1), (0, 1)], "half_open"),
        ([(0, 1), (0, 1), (0, 1)], "open"),
    ],
)
def test_what_the_share_tells_closes_or_opens_it(tries: list[tuple[int, int]], state: str) -> None:
    breaker = see(OPEN, 0, 0, 105.0)
    for n, (good, bad) in enumerate(tries):
        breaker = see(breaker, good, bad, 105.1 + n)
    assert breaker.state == state


def test_it_closes_when_nobody_tries_it() -> None:
    breaker = see(OPEN, 0, 0, 105.0)
    assert [see(breaker, 0, 0, now).state for now in (109.9, 110.0)] == ["half_open", "closed"]


def test_it_is_open_as_long_the_next_time() -> None:
    again = see(see(OPEN, 0, 0, 105.0), 0, 9, 106.0)
    assert (again.state, again.health.until) == ("open", 111.0)


def test_a_breaker_that_is_switched_off_is_closed() -> None:
    off = BreakerRules(percent=0)
    assert see(OPEN, 0, 9, 101.0, off) == Breaker()
    assert OPEN.admits(off) == 100


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20), st.floats(0.05, 9.0)), max_size=40))
def test_it_never_opens_twice_within_its_time(looks: list[tuple[int, int, float]]) -> None:
    breaker, now, opened = Breaker(), 0.0, float("-inf")
    for good, bad, pause in looks:
        now += pause
        before, breaker = breaker, see(breaker, good, bad, now)
        if before.state != "open" and breaker.state == "open":
            assert now - opened >= 5.0
            opened = now
