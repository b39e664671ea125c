"""How long to wait and percentiles, plain and compiled, from the time that answers took."""

from __future__ import annotations

import random
from types import ModuleType

import pytest

from wsgistack.store.memcached import counters, gauges, gauges_cy, wire

TWINS = [gauges, gauges_cy]
both = pytest.mark.parametrize("twin", TWINS, ids=["plain", "compiled"])


@both
def test_nothing_has_no_percentile(twin: ModuleType) -> None:
    assert twin.Histogram().percentile(0.99) == 0.0


@both
@pytest.mark.parametrize("seconds", [0.000_001, 0.000_05, 0.002_3, 0.2, 3.0, 900.0])
def test_a_percentile_is_right_to_a_fifth(twin: ModuleType, seconds: float) -> None:
    histogram = twin.Histogram()
    histogram.add(seconds)
    assert seconds <= histogram.percentile(0.5) <= seconds * 1.26


@both
def test_one_slow_of_a_hundred_is_above_the_99th(twin: ModuleType) -> None:
    histogram = twin.Histogram()
    for _ in range(99):
        histogram.add(0.001)
    histogram.add(0.5)
    assert histogram.percentile(0.5) == histogram.percentile(0.99) < 0.0013
    assert histogram.percentile(1.0) >= 0.5


@both
def test_the_first_answers_are_waited_for_as_long_as_the_limit_allows(twin: ModuleType) -> None:
    patience = twin.Patience(0.2)
    assert (patience.seconds, patience.limit_s, patience.least_s) == (0.2, 0.2, 0.015)


@both
@pytest.mark.parametrize(
    ("answers", "seconds"),
    [
        ([0.0001] * 50, 0.015),  # never below what a busy machine needs
        ([0.010] * 50, pytest.approx(0.030, rel=0.01)),
        ([0.0023], pytest.approx(3 * (0.0023 + 4 * 0.00115))),
        ([0.0001, 0.0001, 0.050], pytest.approx(0.172, rel=0.02)),
        ([0.3] * 50, 0.2),
    ],
)
def test_patience_follows_how_long_answers_take(
    twin: ModuleType, answers: list[float], seconds: float
) -> None:
    patience = twin.Patience(0.2)
    for answer in answers:
        patience.answered(answer)
    assert patience.seconds == seconds


def test_both_make_the_same_of_the_same() -> None:
    dice = random.Random(5)
    histograms = [twin.Histogram() for twin in TWINS]
    patiences = [twin.Patience(0.5, 0.001) for twin in TWINS]
    for _ in range(2000):
        seconds = dice.choice([0.0, 1e-7, dice.random() ** 8, dice.random() * 2000])
        for one in histograms:
            one.add(seconds)
        for patience in patiences:
            patience.answered(min(seconds, 0.3))
        assert patiences[0].seconds == pytest.approx(patiences[1].seconds)
    shares = [0.0, 0.1, 0.5, 0.9, 0.99, 1.0]
    assert [histograms[0].percentile(share) for share in shares] == [
        histograms[1].percentile(share) for share in shares
    ]


def test_the_compiled_ones_are_used_where_they_are_there() -> None:
    assert (wire.Histogram, wire.Patience) == (gauges_cy.Histogram, gauges_cy.Patience)
    assert type(counters.Counters().latency) is gauges_cy.Histogram
