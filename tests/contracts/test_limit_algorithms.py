"""What every algorithm of the rate limiter promises, run over each of them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import examples
from wsgistack.ratelimit.algorithms import ALGORITHMS, NEVER, Counter, State, make_counter
from wsgistack.ratelimit.rates import Rate, parse_rates

NOW = 1_795_000_000_000_000  # in 2026
SECOND = 1_000_000

RATES = {
    "gcra": ["5/second", "7/second burst 3", "1/year", "100/7 seconds burst 2"],
    "fixed": ["5/second fixed", "3/2 hours fixed"],
    "calendar": ["5/calendar minute", "3/calendar day Europe/Berlin", "2/calendar month"],
    "sliding": ["5/second sliding", "10/ms sliding", "1/minute sliding"],
    "exact": ["5/second exact", "1/ms exact"],
    "concurrent": ["5 concurrent", "1 concurrent"],
}
# A new file is tested from the day that it is there; what is peculiar to it gets a row above.
RATES |= {name: [f"5/second {name}", f"3/2 hours {name}"] for name in ALGORITHMS.names() if name not in RATES}
EXACT = [text for name in ("gcra", "exact") for text in RATES[name]]
WITHOUT_LEASES = [text for name, texts in RATES.items() if name != "concurrent" for text in texts]
CASES = [text for texts in RATES.values() for text in texts]

# (thousandths of the window that pass before it, cost)
steps = st.lists(st.tuples(st.sampled_from([0, 0, 1, 30, 300, 700]), st.integers(1, 4)), max_size=20)
few = settings(max_examples=examples(25), deadline=None)


def rate_of(text: str) -> Rate:
    return parse_rates(text)[0]


def span_of(rate: Rate) -> int:
    return rate.window_us or 100 * SECOND


def play(counter: Counter, rate: Rate, trace: list[tuple[int, int]]) -> tuple[State | None, int]:
    """Return the state and the time after *trace*."""
    state, now = None, NOW
    for share, cost in trace:
        now += share * span_of(rate) // 1000
        _, state = counter.decide(state, now, cost)
    return state, now


def test_each_algorithm_can_be_written() -> None:
    assert ALGORITHMS.names() == sorted(RATES)
    assert all(rate_of(text).algorithm == name for name, texts in RATES.items() for text in texts)


@pytest.mark.parametrize("text", WITHOUT_LEASES)  # nobody knows when a request will end
@few
@given(trace=steps, cost=st.integers(1, 6))
def test_a_wait_is_exact(text: str, trace: list[tuple[int, int]], cost: int) -> None:
    rate = rate_of(text)
    counter = make_counter(rate)
    state, now = play(counter, rate, trace)
    cost = counter.quota(state, now)[0] + 1 + cost % rate.burst
    wait, after = counter.decide(state, now, cost)
    assert after == state, "a refusal consumes nothing"
    if cost > rate.burst:
        assert wait == NEVER
        return
    assert wait > 0
    assert counter.decide(state, now + wait, cost)[0] == 0
    assert counter.decide(state, now + wait - 1, cost)[0] > 0


@pytest.mark.parametrize("text", CASES)
@few
@given(trace=steps)
def test_what_is_left_passes_and_no_more(text: str, trace: list[tuple[int, int]]) -> None:
    rate = rate_of(text)
    counter = make_counter(rate)
    state, now = play(counter, rate, trace)
    left = counter.quota(state, now)[0]
    assert 0 <= left <= rate.burst
    if left:
        assert counter.decide(state, now, left)[0] == 0
    assert counter.decide(state, now, left + 1)[0] != 0


@pytest.mark.parametrize("text", WITHOUT_LEASES)
@few
@given(trace=steps)
def test_more_is_there_when_reset_says_so(text: str, trace: list[tuple[int, int]]) -> None:
    rate = rate_of(text)
    counter = make_counter(rate)
    state, now = play(counter, rate, trace)
    reset, left = counter.quota(state, now)[1], counter.quota(state, now)[0]
    if reset == 0:
        assert left == rate.burst
    else:
        assert counter.quota(state, now + reset)[0] > left
        assert counter.quota(state, now + reset - 1)[0] == left


@pytest.mark.parametrize("text", CASES)
@few
@given(trace=steps)
def test_a_state_that_ended_is_as_good_as_none(text: str, trace: list[tuple[int, int]]) -> None:
    rate = rate_of(text)
    counter = make_counter(rate)
    state, now = play(counter, rate, trace)
    end = now if state is None else max(counter.ends_at(state), now)
    assert counter.quota(state, end)[0] == counter.quota(None, end)[0] == rate.burst
    assert counter.quota(state, end)[1] == 0


@pytest.mark.parametrize("text", CASES)
@few
@given(trace=steps, cost=st.integers(1, 4))
def test_what_is_given_back_is_there_again(text: str, trace: list[tuple[int, int]], cost: int) -> None:
    rate = rate_of(text)
    counter = make_counter(rate)
    state, now = play(counter, rate, trace)
    before = counter.quota(state, now)[0]
    cost = min(cost, before)
    wait, after = counter.decide(state, now, cost)
    assert wait == 0
    assert counter.quota(after, now)[0] == before - cost
    if cost:
        assert counter.quota(counter.give_back(after, now, cost, after), now)[0] == before


# A fixed window is opened by the very request that is given back: without it, another window holds.
@pytest.mark.parametrize("text", [text for text in CASES if text not in RATES["fixed"]])
@few
@given(trace=steps, later=steps, units=st.integers(1, 1000))
def test_no_more_is_given_back_than_is_still_missing(
    text: str, trace: list[tuple[int, int]], later: list[tuple[int, int]], units: int
) -> None:
    """A late refund must not let more pass than if the refunded request had never been."""
    rate = rate_of(text)
    counter = make_counter(rate)
    state, now = play(counter, rate, trace)
    wait, taken = counter.decide(state, now, 1)
    if wait or taken is None:
        return
    with_it, without = taken, state
    for share, cost in later:
        now += share * span_of(rate) // 1000
        # What passed with the request counted passes without it too: both see the same traffic.
        wait, with_it = counter.decide(with_it, now, cost)
        if wait == 0:
            without = counter.charge(without, now, cost)
    refunded = counter.give_back(with_it, now, min(units, 1), taken)
    assert counter.quota(refunded, now)[0] <= counter.quota(without, now)[0]


@pytest.mark.parametrize("text", CASES)
def test_what_a_limit_can_never_give_is_said_so(text: str) -> None:
    rate = rate_of(text)
    counter = make_counter(rate)
    assert counter.decide(None, NOW, rate.burst)[0] == 0
    assert counter.decide(None, NOW, rate.burst + 1)[0] == NEVER


@pytest.mark.parametrize("text", CASES)
@few
@given(trace=steps)
def test_a_charge_takes_whatever_the_limit_says(text: str, trace: list[tuple[int, int]]) -> None:
    rate = rate_of(text)
    counter = make_counter(rate)
    state, now = play(counter, rate, trace)
    left = counter.quota(state, now)[0]
    charged = counter.charge(state, now, left + 2)
    assert counter.quota(charged, now)[0] == 0
    assert counter.decide(charged, now, 1)[0] > 0


@pytest.mark.parametrize("text", EXACT)
@few
@given(trace=steps)
def test_no_window_sees_more_than_the_algorithm_promises(text: str, trace: list[tuple[int, int]]) -> None:
    """Against a serial reference that looks at every pair of admissions."""
    rate = rate_of(text)
    counter = make_counter(rate)
    state, now = None, NOW
    passed: list[tuple[int, int]] = []
    for share, cost in trace:
        now += share * span_of(rate) // 1000
        wait, state = counter.decide(state, now, cost)
        if wait == 0:
            passed.append((now, cost))
    for i, (first, _) in enumerate(passed):
        total = 0
        for last, cost in passed[i:]:
            total += cost
            if rate.algorithm == "exact":
                assert last - first >= rate.window_us or total <= rate.amount
            else:
                assert (total - rate.burst) * rate.window_us <= (last - first) * rate.amount
