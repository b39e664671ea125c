"""What RateLimit says of states, plain and compiled: the same words."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import examples
from wsgistack.ratelimit import telling, telling_cy
from wsgistack.ratelimit.algorithms import make_counter
from wsgistack.ratelimit.fields import limit_item
from wsgistack.ratelimit.rates import parse_rates

TWINS = [telling, telling_cy]
BOTH = pytest.mark.parametrize("twin", TWINS, ids=["plain", "compiled"])
NOW = 1_795_000_000_000_000
SECOND = 1_000_000
RATES = [
    "5/minute",
    "7/second burst 3",
    "1000000000000/second",  # more than fits into numbers of C
    "3/100 years",
    "10/ms",
    "5/hour fixed",
    "3/minute exact",
]


def teller(twin: ModuleType, *rates: str) -> Any:
    items = [limit_item(f"p{i}", make_counter(parse_rates(rate)[0])) for i, rate in enumerate(rates)]
    return twin.Teller("policies", items)


@BOTH
def test_what_is_left_is_told_with_the_time_until_there_is_more(twin: ModuleType) -> None:
    tells = teller(twin, "5/minute", "5/hour fixed")
    assert tells.fields([None, None], NOW) == [
        ("RateLimit-Policy", "policies"),
        ("RateLimit", '"p0";r=5, "p1";r=5'),
    ]
    assert (
        tells.fields([NOW + 24 * SECOND, (NOW + 59_000_001, 4)], NOW)[1][1] == '"p0";r=3;t=12, "p1";r=1;t=60'
    )
    assert tells.fields([NOW + 12 * SECOND + 1, None], NOW)[1][1] == '"p0";r=3;t=1, "p1";r=5'
    assert tells.fields([NOW, None], NOW + 1)[1][1] == '"p0";r=5, "p1";r=5'


@BOTH
def test_a_debt_leaves_nothing_for_as_long_as_it_takes(twin: ModuleType) -> None:
    assert teller(twin, "5/minute").fields([NOW + 90 * SECOND], NOW)[1][1] == '"p0";r=0;t=42'


@BOTH
def test_one_that_is_not_told_keeps_its_place(twin: ModuleType) -> None:
    item = limit_item("p", make_counter(parse_rates("5/minute")[0]))
    assert twin.Teller("it", [None, item]).fields([(0, 0, 0, 0), NOW + 1], NOW) == [
        ("RateLimit-Policy", "it"),
        ("RateLimit", '"p";r=4;t=1'),
    ]
    assert twin.Teller("", [None]).fields([None], NOW) == []
    assert twin.Teller("", []).fields([], NOW) == []


@settings(max_examples=examples(100), deadline=None)
@given(
    rate=st.sampled_from(RATES),
    costs=st.lists(st.integers(0, 12), max_size=8),
    passed=st.integers(0, 10**14),
    late=st.integers(0, 10**20),
)
def test_both_say_the_same(rate: str, costs: list[int], passed: int, late: int) -> None:
    counter = make_counter(parse_rates(rate)[0])
    state = None
    for cost in costs:
        state = counter.charge(state, NOW, cost)
    for now in (NOW, NOW + passed, NOW + late):
        told = teller(telling, rate).fields([state], now)
        assert teller(telling_cy, rate).fields([state], now) == told
