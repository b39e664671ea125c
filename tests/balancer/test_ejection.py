"""Who stands out, whom a pool can spare, and whom it uses in need."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgistack.balancer.ejection import Standing, find_failing, find_slow, may_eject, stand
from wsgistack.balancer.health import State

STATES = st.sampled_from(get_args(State))
POOLS = st.lists(STATES, min_size=1, max_size=9).map(lambda states: dict(enumerate_names(states)))


def enumerate_names(states: list[State]) -> list[tuple[str, State]]:
    return [(f"n{i}", state) for i, state in enumerate(states)]


@pytest.mark.parametrize(
    ("counts", "failing"),
    [
        ({"a": (100, 0), "b": (100, 0), "c": (80, 20)}, {"c"}),
        ({"a": (100, 0), "b": (100, 0), "c": (99, 1)}, set()),
        ({"a": (90, 10), "b": (88, 12), "c": (85, 15)}, set()),
        ({"a": (50, 50), "b": (55, 45), "c": (45, 55)}, set()),
        ({"a": (50, 50), "b": (55, 45), "c": (5, 95)}, {"c"}),
        ({"a": (0, 100), "b": (0, 100), "c": (0, 100)}, set()),
        ({"a": (100, 0), "b": (30, 0), "c": (20, 20)}, set()),
        ({"a": (100, 0), "b": (10, 30), "c": (20, 80)}, set()),
        ({"a": (100, 0), "b": (100, 0), "c": (100, 0), "d": (0, 50), "e": (0, 50)}, set()),
        ({"a": (1000, 0), "b": (1000, 0), "c": (1000, 0), "d": (1000, 0), "e": (900, 100)}, {"e"}),
    ],
    ids=[
        "one of three",
        "within what nobody minds",
        "all alike",
        "all are bad",
        "worse than bad",
        "nothing works",
        "too few requests",
        "too few nodes with enough",
        "two of five are a spread",
        "one of five",
    ],
)
def test_a_node_that_fails_more_than_the_others_stands_out(
    counts: dict[str, tuple[int, int]], failing: set[str]
) -> None:
    assert set(find_failing(counts, deviations=3.0, nodes=3, requests=50)) == failing


def test_without_deviations_nobody_is_judged() -> None:
    counts = {"a": (100, 0), "b": (100, 0), "c": (0, 100)}
    assert find_failing(counts, deviations=0.0, nodes=3, requests=50) == {}


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.tuples(st.integers(0, 500), st.integers(0, 500))))
def test_never_do_all_nodes_fail_more_than_the_others(counts: dict[str, tuple[int, int]]) -> None:
    found = find_failing(counts, deviations=1.0, nodes=2, requests=10)
    assert not found or len(found) < len(counts)


@pytest.mark.parametrize(
    ("means", "slow"),
    [
        ({"a": 0.010, "b": 0.010, "c": 0.100}, {"c"}),
        ({"a": 0.010, "b": 0.100}, {"b"}),
        ({"a": 0.010, "b": 0.010, "c": 0.049}, set()),
        ({"a": 0.0002, "b": 0.0002, "c": 0.004}, set()),
        ({"a": 0.010, "b": 0.100, "c": 0.100}, set()),
        ({"a": 0.010, "b": 0.011, "c": 0.012, "d": 0.2, "e": 0.3}, {"d", "e"}),
        ({"a": 5.0}, set()),
        ({}, set()),
    ],
    ids=[
        "one of three",
        "one of two",
        "below the factor",
        "a difference that nobody notices",
        "most are slow",
        "two",
        "alone",
        "nobody",
    ],
)
def test_a_node_that_is_much_slower_than_the_others_stands_out(
    means: dict[str, float], slow: set[str]
) -> None:
    assert set(find_slow(means, factor=5.0, least_s=0.005)) == slow


def test_without_a_factor_nobody_is_slow() -> None:
    assert find_slow({"a": 0.01, "b": 9.0}, factor=0.0, least_s=0.0) == {}


@pytest.mark.parametrize(
    ("states", "percent", "may"),
    [
        ({"a": "up"}, 100, False),
        ({"a": "up", "b": "up"}, 50, True),
        ({"a": "up", "b": "up"}, 0, True),
        ({"a": "up", "b": "ejected"}, 100, False),
        ({"a": "up", "b": "trial"}, 100, False),
        ({"a": "up", "b": "down"}, 100, False),
        ({"a": "up", "b": "unchecked"}, 50, True),
        ({"a": "up", "b": "warming"}, 50, True),
        ({"a": "up", "b": "up", "c": "ejected"}, 50, False),
        ({"a": "up", "b": "up", "c": "ejected"}, 67, True),
        ({"a": "up", "b": "up", "c": "ejected", "d": "up"}, 50, True),
        ({"a": "up", "b": "trial", "c": "ejected", "d": "up"}, 50, False),
        ({"a": "trial", "b": "up"}, 50, True),
    ],
)
def test_a_pool_spares_only_so_many(states: dict[str, State], percent: int, may: bool) -> None:
    assert may_eject(states, "a", most_percent=percent) is may


@pytest.mark.parametrize(
    ("states", "panic", "standing"),
    [
        ({"a": "up", "b": "down"}, 30, Standing("calm", frozenset("a"))),
        ({"a": "up", "b": "trial", "c": "ejected"}, 30, Standing("calm", frozenset("ab"))),
        ({"a": "up", "b": "down", "c": "down", "d": "dead"}, 30, Standing("panic", frozenset("abc"))),
        ({"a": "up", "b": "down", "c": "down", "d": "dead"}, 25, Standing("calm", frozenset("a"))),
        ({"a": "up", "b": "dead", "c": "dead", "d": "dead"}, 30, Standing("calm", frozenset("a"))),
        ({"a": "dead", "b": "dead"}, 30, Standing("down", frozenset())),
        ({"a": "down", "b": "dead"}, 30, Standing("panic", frozenset("a"))),
        ({"a": "down", "b": "dead"}, 0, Standing("down", frozenset())),
        ({"a": "ejected", "b": "down"}, 0, Standing("panic", frozenset("a"))),
        ({"a": "trial", "b": "dead"}, 0, Standing("panic", frozenset("a"))),
        ({}, 30, Standing("calm", frozenset())),
    ],
    ids=[
        "one is down",
        "on trial it is used",
        "too few are sound",
        "a quarter is enough",
        "who is dead is never used",
        "all are dead",
        "in need who is down",
        "without panic nobody",
        "an ejected one before nobody",
        "on trial in full before nobody",
        "an empty pool",
    ],
)
def test_who_is_used(states: dict[str, State], panic: int, standing: Standing) -> None:
    assert stand(states, panic_percent=panic) == standing


@given(POOLS, st.integers(0, 100))
def test_nobody_dead_is_used_and_somebody_is_while_one_is_sound(states: dict[str, State], panic: int) -> None:
    used = stand(states, panic_percent=panic).used
    assert not any(states[name] == "dead" for name in used)
    assert used >= {name for name, state in states.items() if state in ("up", "unchecked", "warming")}


@given(POOLS)
def test_with_panic_a_pool_is_down_only_when_all_are_dead(states: dict[str, State]) -> None:
    standing = stand(states, panic_percent=1)
    assert (standing.mood == "down") == all(state == "dead" for state in states.values())
