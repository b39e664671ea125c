"""From counters that only grow to what was new, and to windows of time."""

import pytest

from wsgistack.balancer.outside import Outcomes
from wsgistack.balancer.traffic import Delta, Traffic


def outcome(good: int = 0, bad: int = 0, streak: int = 0, spent_us: int = 0) -> Outcomes:
    return Outcomes(good, bad, streak, spent_us=spent_us)


def test_what_was_counted_before_is_no_news() -> None:
    traffic = Traffic()
    assert traffic.absorb({"a": outcome(90, 10, 5)}, 100.0) == {}
    assert traffic.absorb({"a": outcome(90, 10, 5)}, 101.0) == {}
    assert traffic.absorb({"a": outcome(91, 10, 0, 500000)}, 102.0) == {"a": Delta(1, 0, 0, 0.5)}


def test_only_those_of_whom_something_is_new_are_told_of() -> None:
    traffic = Traffic()
    traffic.absorb({"a": outcome(), "b": outcome()}, 100.0)
    assert set(traffic.absorb({"a": outcome(1), "b": Outcomes(held=True)}, 101.0)) == {"a"}


def test_bad_ones_in_a_row_add_up_from_look_to_look_and_over_the_workers() -> None:
    traffic = Traffic()
    traffic.absorb({"a": outcome(5, 0)}, 100.0)
    streaks = [
        traffic.absorb({"a": new}, 101.0)["a"].streak
        for new in (outcome(5, 2, 1), outcome(5, 4, 2), outcome(6, 4, 1), outcome(6, 5, 2), outcome(7, 8, 3))
    ]
    assert streaks == [2, 4, 0, 1, 3]


def test_the_old_streak_of_a_worker_that_got_nothing_since_does_not_count() -> None:
    traffic = Traffic()
    traffic.absorb({"a": outcome(0, 0)}, 100.0)
    assert traffic.absorb({"a": outcome(0, 7, 7)}, 101.0)["a"].streak == 7
    assert traffic.absorb({"a": outcome(50, 8, 7)}, 102.0)["a"].streak == 1


def test_counters_that_begin_anew_are_no_news() -> None:
    traffic = Traffic()
    traffic.absorb({"a": outcome(90, 10)}, 100.0)
    assert traffic.absorb({"a": outcome(3, 0)}, 101.0) == {}
    assert traffic.absorb({"a": outcome(4, 0)}, 102.0) == {"a": Delta(1, 0, 0, 0.0)}


def test_counts_look_back_over_a_window() -> None:
    traffic = Traffic()
    traffic.absorb({"a": outcome()}, 100.0)
    for n in range(1, 101):
        traffic.absorb({"a": outcome(n, 2 * n)}, 100.0 + n)
    assert traffic.counts("a", 10, 200.0) == (10, 20)
    assert traffic.counts("a", 10, 205.0) == (5, 10)
    assert traffic.counts("a", 10, 300.0) == (0, 0)
    assert traffic.counts("a", 1000, 200.0) == (60, 120)
    assert traffic.counts("nobody", 10, 200.0) == (0, 0)


def test_several_looks_of_one_second_are_one_entry() -> None:
    traffic = Traffic()
    traffic.absorb({"a": outcome()}, 100.0)
    for n in range(1, 9):
        traffic.absorb({"a": outcome(n)}, 100.0 + n / 10)
    assert traffic.counts("a", 1, 100.9) == (8, 0)
    assert traffic.counts("a", 1, 101.0) == (0, 0)


def test_a_mean_is_measured_from_enough_responses_and_grows_stale() -> None:
    traffic = Traffic()
    traffic.absorb({"a": outcome()}, 100.0)
    traffic.absorb({"a": outcome(4, spent_us=400000)}, 100.1)
    assert traffic.measure(100.2) == set()
    assert traffic.mean("a", 100.2) is None
    traffic.absorb({"a": outcome(8, spent_us=1600000)}, 100.3)
    assert traffic.measure(100.4) == {"a"}
    assert traffic.mean("a", 100.4) == pytest.approx(0.2)
    assert traffic.measure(100.5) == set()
    assert traffic.mean("a", 110.4) == pytest.approx(0.2)
    assert traffic.mean("a", 110.5) is None


def test_a_node_that_is_forgotten_begins_anew() -> None:
    traffic = Traffic()
    traffic.absorb({"a": outcome()}, 100.0)
    traffic.absorb({"a": outcome(9)}, 100.0)
    traffic.forget("a")
    assert traffic.counts("a", 10, 100.0) == (0, 0)
    assert traffic.absorb({"a": outcome(12)}, 101.0) == {}
