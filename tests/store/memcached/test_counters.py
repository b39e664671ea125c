"""Percentiles from counts."""

import pytest

from wsgistack.store.memcached.counters import Histogram


def test_nothing_has_no_percentile() -> None:
    assert Histogram().percentile(0.99) == 0.0


@pytest.mark.parametrize("seconds", [0.000_001, 0.000_05, 0.002_3, 0.2, 3.0, 900.0])
def test_a_percentile_is_right_to_a_fifth(seconds: float) -> None:
    histogram = Histogram()
    histogram.add(seconds)
    assert seconds <= histogram.percentile(0.5) <= seconds * 1.26


def test_one_slow_of_a_hundred_is_above_the_99th() -> None:
    histogram = Histogram()
    for _ in range(99):
        histogram.add(0.001)
    histogram.add(0.5)
    assert histogram.percentile(0.5) == histogram.percentile(0.99) < 0.0013
    assert histogram.percentile(1.0) >= 0.5
