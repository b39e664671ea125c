"""The limits that workers count in compiled code say the same as the algorithms of the WSGI edge."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import examples
from wsgistack.balancer.limit_settings import COUNTED
from wsgistack.balancer.limit_states import pack_ban, read_state
from wsgistack.balancer.plane.limit_kernels import KINDS, Kernel
from wsgistack.balancer.plane.limit_table import LimitTable
from wsgistack.balancer.plane.limit_units import UnitsKernel
from wsgistack.ratelimit.algorithms import ALGORITHMS, Counter, make_counter
from wsgistack.ratelimit.bans import BanCounter, parse_ban
from wsgistack.ratelimit.decision import NEAR
from wsgistack.ratelimit.rates import UNLIMITED, Rate, parse_rates

NOW = 1_000_000_000  # of CLOCK_MONOTONIC: a machine that is up for a quarter of an hour

RATES = [
    "5/second",
    "7/second burst 3",
    "100/7 seconds burst 2",
    "1/year",
    "1000000000000/day",
    "3/100 years burst 3",
    "5/second fixed",
    "3/2 hours fixed",
    "5/second sliding",
    "10/ms sliding",
    "1000000000000/year sliding",
    "1/minute sliding",
    "3/calendar minute",
    "5/calendar hour Asia/Kathmandu",
    "7/calendar day Europe/Berlin",
    "100/calendar month",
]
UNITS = ["1/second exact", "5/7 seconds exact", "8/minute exact", "3 concurrent", "7 concurrent"]
BANS = [
    "1 in 1 second for 1 second",
    "3 in 10 s for 2 s up to 5 s",
    "500 in 1 minute for 1 hour up to 1 week",
]
fresh = count(1)  # keys that no example had before
few = settings(max_examples=examples(50), deadline=None)
# thousandths of the window that pass, with some microseconds, before each request; whether it is charged
traces = st.lists(
    st.tuples(st.sampled_from([0, 0, 0, 1, 30, 200, 500, 1000, 2500]), st.integers(0, 3), st.booleans()),
    max_size=40,
)


def make_kernel(rate: Rate, cost: int) -> Kernel:
    return Kernel(numbers_of(rate, cost))


def numbers_of(rate: Rate, cost: int) -> dict[str, Any]:
    numbers: dict[str, Any] = {"kind": rate.algorithm, "amount": rate.amount, "window_us": rate.window_us}
    calendar = [rate.calendar, rate.zone] if rate.calendar else []
    return numbers | {
        "burst": rate.burst, "cost": cost, "length_us": 0, "longest_us": 0, "calendar": calendar,
    }  # fmt: skip


def make_ban_kernel(text: str) -> Kernel:
    ban = parse_ban(text)
    numbers: dict[str, Any] = {"kind": "ban", "amount": ban.refusals, "window_us": ban.window_us}
    lengths = {"length_us": ban.length_us, "longest_us": ban.longest_us}
    return Kernel(numbers | lengths | {"burst": ban.refusals, "cost": 1, "calendar": []})


def test_all_that_is_counted_here_has_a_kernel() -> None:
    assert set(KINDS) == {*COUNTED, "ban"}
    assert set(COUNTED) <= set(ALGORITHMS.names())
    assert {parse_rates(text)[0].algorithm for text in RATES + UNITS} == set(COUNTED)


@pytest.mark.parametrize("text", RATES)
@few
@given(trace=traces, cost=st.integers(1, 7), late=st.integers(0, 2))
def test_a_kernel_says_what_its_algorithm_says(
    text: str, trace: list[tuple[int, int, bool]], cost: int, late: int
) -> None:
    rate = parse_rates(text)[0]
    counter, kernel = make_counter(rate), make_kernel(rate, cost)
    state, now = None, NOW + late * rate.window_us // 3
    for share, more, is_charged in trace:
        now += share * rate.window_us // 1000 + more
        if is_charged:
            state = counter.charge(state, now, cost)
            kernel.charge(now)
        else:
            wait, state = counter.decide(state, now, cost)
            assert kernel.decide(now) == wait
        check(rate.algorithm, rate, counter, state, kernel, now)


@pytest.mark.parametrize("text", RATES)
@few
@given(trace=traces, back=st.lists(st.integers(0, 400), min_size=40, max_size=40), cost=st.integers(1, 3))
def test_a_kernel_says_what_its_algorithm_says_to_workers_whose_clocks_differ(
    text: str, trace: list[tuple[int, int, bool]], back: list[int], cost: int
) -> None:
    rate = parse_rates(text)[0]
    counter, kernel = make_counter(rate), make_kernel(rate, cost)
    state, time = None, NOW + rate.window_us
    for (share, more, _), parts in zip(trace, back, strict=False):
        time += share * rate.window_us // 1000 + more
        now = time - parts * rate.window_us // 1000
        wait, state = counter.decide(state, now, cost)
        assert kernel.decide(now) == wait
        check(rate.algorithm, rate, counter, state, kernel, now)


@pytest.mark.parametrize("text", BANS)
@few
@given(trace=traces)
def test_a_ban_lasts_as_long_here_and_there(text: str, trace: list[tuple[int, int, bool]]) -> None:
    counter, kernel = BanCounter(parse_ban(text)), make_ban_kernel(text)
    state, now = None, NOW
    for share, more, is_refused in trace:
        now += share * 4_000 + more
        if is_refused:
            state = counter.charge(state, now, 1)
            kernel.charge(now)
        wait, state = counter.decide(state, now, 0)
        assert kernel.decide(now) == wait
        assert read_state("ban", UNLIMITED, kernel.words, now) == (
            state if state and counter.ends_at(state) > now else None
        )


def check(kind: str, rate: Rate, counter: Counter, state: Any, kernel: Kernel, now: int) -> None:
    """Both know the same: what is left, and the state itself as far as it matters."""
    assert kernel.quota(now) == counter.quota(state, now)
    assert kernel.is_near(now) == (counter.quota(state, now)[0] * NEAR <= rate.burst)
    kept = state if state is not None and counter.ends_at(state) > now else None
    assert read_state(kind, rate, kernel.words, now) == kept


@pytest.mark.parametrize("text", RATES)
def test_what_costs_more_than_there_ever_is_never_passes(text: str) -> None:
    rate = parse_rates(text)[0]
    assert make_kernel(rate, rate.burst + 1).decide(NOW) == -1


def test_a_ban_by_hand_is_one_that_the_counter_knows() -> None:
    ban = parse_ban("3 in 10 s for 2 s up to 5 s")
    state = read_state("ban", UNLIMITED, pack_ban(NOW + 9, 2, ban.longest_us), NOW)
    assert BanCounter(ban).decide(state, NOW, 0)[0] == 9
    assert BanCounter(ban).decide(state, NOW + 9, 0)[0] == 0
    assert BanCounter(ban).ends_at(state) == NOW + 9 + 5_000_000


# -- units that are kept apart -------------------------------------------------------------


@pytest.fixture(scope="module")
def table() -> Iterator[LimitTable]:
    table = LimitTable.create(64)
    yield table
    table.close()


@pytest.mark.parametrize("text", UNITS)
@settings(max_examples=examples(30), deadline=None)
@given(trace=traces, cost=st.integers(1, 4))
def test_units_in_the_table_are_those_of_the_algorithm(
    text: str, table: LimitTable, trace: list[tuple[int, int, bool]], cost: int
) -> None:
    rate = parse_rates(text)[0]
    table.keep_seats([])
    counter = make_counter(rate)
    kernel = UnitsKernel(table, numbers_of(rate, cost), table.take_seats(1), key=b"%d" % next(fresh))
    state, now = None, NOW
    taken: list[Any] = []
    for share, more, is_other in trace:
        now += share * (rate.window_us or 1_000_000) // 1000 + more
        if is_other and rate.algorithm == "exact":
            state = counter.charge(state, now, cost)
            kernel.charge(now)
        elif is_other and taken:
            state = counter.give_back(state, now, cost, taken.pop(more % len(taken)))
            kernel.release(more % (len(taken) + 1))
        else:
            wait, state = counter.decide(state, now, cost)
            assert kernel.decide(now) == wait
            taken += [state] if not wait else []
        assert kernel.quota(now) == counter.quota(state, now)
