"""What every balancing algorithm keeps, and that the compiled kernels choose alike."""

import random
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsgistack.balancer.algorithms import ALGORITHMS, Algorithm
from wsgistack.balancer.plane import pick as kernels

MEMBERS = pytest.mark.parametrize("algorithm", [part for _, part in ALGORITHMS], ids=ALGORITHMS.names())
COMPILED = pytest.mark.parametrize(
    "algorithm", [p for _, p in ALGORITHMS if p.kernel], ids=[n for n, p in ALGORITHMS if p.kernel]
)


def draws(seed: int) -> Callable[[int], int]:
    return random.Random(seed).randrange


def run(algorithm: Algorithm, loads: list[int], weights: list[int], turns: int, seed: int = 1) -> list[int]:
    draw, state, chosen = draws(seed), 0, []
    for _ in range(turns):
        index, state = algorithm.pick(loads, weights, state, draw)
        chosen.append(index)
    return chosen


nodes = st.lists(st.tuples(st.integers(0, 50), st.integers(1, 9)), min_size=1, max_size=12)


@MEMBERS
@given(nodes=nodes, state=st.integers(0, 2**40), seed=st.integers(0, 999))
@settings(max_examples=50)
def test_the_choice_is_one_of_the_nodes(
    algorithm: Algorithm, nodes: list[tuple[int, int]], state: int, seed: int
) -> None:
    loads, weights = [n[0] for n in nodes], [n[1] for n in nodes]
    index, after = algorithm.pick(loads, weights, state, draws(seed))
    assert 0 <= index < len(nodes)
    assert after >= 0


@MEMBERS
@pytest.mark.parametrize("weights", [[1, 1, 1], [1, 2, 5]], ids=["equal", "unequal"])
def test_an_idle_pool_is_shared_by_weight(algorithm: Algorithm, weights: list[int]) -> None:
    if algorithm.name == "least":  # (0 + 1) / weight is smallest for the heaviest: it fills by weight
        weights = [1, 1, 1]
    counts = Counter(run(algorithm, [0, 0, 0], weights, 8000))
    for index, weight in enumerate(weights):
        share = 8000 * weight / sum(weights)
        assert abs(counts[index] - share) < 0.1 * 8000


@MEMBERS
def test_a_pool_that_fills_is_filled_by_weight(algorithm: Algorithm) -> None:
    weights, loads, draw, state = [1, 2, 5], [0, 0, 0], draws(2), 0
    for _ in range(800):
        index, state = algorithm.pick(loads, weights, state, draw)
        loads[index] += 1
    assert [abs(load - share) < 60 for load, share in zip(loads, [100, 200, 500], strict=True)] == [True] * 3


@MEMBERS
def test_a_single_node_is_always_chosen(algorithm: Algorithm) -> None:
    assert run(algorithm, [7], [3], 5) == [0] * 5


@MEMBERS
def test_it_says_what_it_is(algorithm: Algorithm) -> None:
    assert algorithm.help and algorithm.name == algorithm.name.lower()


@COMPILED
@given(nodes=nodes, state=st.integers(0, 2**40), seed=st.integers(0, 999))
@settings(max_examples=100)
def test_the_kernel_makes_the_same_choice(
    algorithm: Algorithm, nodes: list[tuple[int, int]], state: int, seed: int
) -> None:
    loads, weights = [n[0] for n in nodes], [n[1] for n in nodes]
    here = algorithm.pick(loads, weights, state, draws(seed))
    assert algorithm.kernel is not None
    assert kernels.run(algorithm.kernel, loads, weights, state, draws(seed)) == here


@given(nodes=nodes, state=st.integers(0, 2**40))
def test_least_is_truly_the_least(nodes: list[tuple[int, int]], state: int) -> None:
    loads, weights = [n[0] for n in nodes], [n[1] for n in nodes]
    index, _ = ALGORITHMS.get("least").pick(loads, weights, state, draws(0))
    assert all((loads[index] + 1) * w <= (load + 1) * weights[index] for load, w in nodes)


def test_least_goes_round_among_equals() -> None:
    assert run(ALGORITHMS.get("least"), [4, 4, 9, 4], [1] * 4, 4) == [0, 1, 3, 3]


def test_round_robin_goes_in_turn() -> None:
    assert run(ALGORITHMS.get("round_robin"), [0] * 3, [1] * 3, 7) == [0, 1, 2, 0, 1, 2, 0]


def test_round_robin_spreads_the_turns_of_a_heavy_node() -> None:
    assert run(ALGORITHMS.get("round_robin"), [0] * 3, [5, 1, 1], 7) == [0, 0, 0, 1, 0, 2, 0]


@given(weights=st.lists(st.integers(1, 6), min_size=2, max_size=6))
def test_a_round_gives_each_node_its_weight_exactly(weights: list[int]) -> None:
    chosen = run(ALGORITHMS.get("round_robin"), [0] * len(weights), weights, sum(weights))
    assert [chosen.count(i) for i in range(len(weights))] == weights


@given(
    nodes=st.lists(st.tuples(st.integers(0, 9), st.integers(1, 5)), min_size=2, max_size=8),
    seed=st.integers(),
)
def test_two_choices_never_takes_the_worst_alone(nodes: list[tuple[int, int]], seed: int) -> None:
    loads, weights = [n[0] for n in nodes], [n[1] for n in nodes]
    index, _ = ALGORITHMS.get("two_choices").pick(loads, weights, 0, draws(seed))
    others = [i for i in range(len(nodes)) if i != index]
    assert any(loads[index] * weights[i] <= loads[i] * weights[index] for i in others)


def test_two_choices_keeps_queues_shorter_than_lots() -> None:
    longest = {}
    for name in ("random", "two_choices"):
        loads, draw = [0] * 50, draws(3)
        for _ in range(50):
            index, _ = ALGORITHMS.get(name).pick(loads, [1] * 50, 0, draw)
            loads[index] += 1
        longest[name] = max(loads)
    assert longest["two_choices"] < longest["random"]


@pytest.mark.parametrize("name", ["random", "two_choices"])
def test_a_draw_out_of_range_is_seen(name: str) -> None:
    with pytest.raises(AssertionError):
        ALGORITHMS.get(name).pick([0, 0], [1, 1], 0, lambda below: below)
