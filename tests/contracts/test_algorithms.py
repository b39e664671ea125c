"""What every balancing algorithm keeps, and that the compiled kernels choose alike."""

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import examples
from wsgistack.balancer.algorithms import ALGORITHMS, Algorithm, Candidates
from wsgistack.balancer.algorithms.peak_ewma import next_latency
from wsgistack.balancer.plane import kernels
from wsgistack.balancer.plane.board import time_once
from wsgistack.balancer.ring import make_ring

MEMBERS = pytest.mark.parametrize("algorithm", [part for _, part in ALGORITHMS], ids=ALGORITHMS.names())
COMPILED = pytest.mark.parametrize(
    "algorithm", [p for _, p in ALGORITHMS if p.kernel], ids=[n for n, p in ALGORITHMS if p.kernel]
)
SHARING = [part for _, part in ALGORITHMS if part.by_weight]  # whatever the request
BY_WEIGHT = pytest.mark.parametrize("algorithm", SHARING, ids=[part.name for part in SHARING])


def draws(seed: int) -> Callable[[int], int]:
    return random.Random(seed).randrange


def make_nodes(loads: list[int], weights: list[int], **more: object) -> Candidates:
    count = len(loads)
    ring = make_ring(tuple((f"10.0.0.{i}:80", weight) for i, weight in enumerate(weights)))
    columns = {
        "latencies_us": [1000] * count,
        "rested_ms": [1] * count,
        "places": range(count),
        "points": ring.points,
        "owners": ring.owners,
    }
    return Candidates(loads, weights, **(columns | more))  # type: ignore[arg-type]  # each test its own columns


def run(algorithm: Algorithm, loads: list[int], weights: list[int], turns: int, seed: int = 1) -> list[int]:
    draw, state, chosen, nodes = draws(seed), 0, [], make_nodes(loads, weights)
    for _ in range(turns):
        index, state = algorithm.pick(nodes, state, draw)
        chosen.append(index)
    return chosen


@st.composite
def candidates(draw: st.DrawFn) -> Candidates:
    """Some nodes of a pool that has others too, with anything that a kernel may look at."""
    members = draw(st.lists(st.tuples(st.integers(1, 9), st.booleans()), min_size=1, max_size=12))
    ring = make_ring(tuple((f"10.0.0.{i}:80", weight) for i, (weight, _) in enumerate(members)))
    places = [i for i, (_, usable) in enumerate(members) if usable] or [0]
    even = draw(st.booleans())
    numbers = st.lists(st.integers(0, 50), min_size=len(places), max_size=len(places))
    return Candidates(
        loads=draw(numbers),
        weights=[3 if even else members[i][0] for i in places],
        latencies_us=[draw(st.sampled_from([0, 1, 900, 1000, 60_000_000])) for _ in places],
        rested_ms=[draw(st.sampled_from([0, 999, 1000, 100_000])) for _ in places],
        places=places,
        key=draw(st.none() | st.integers(0, 2**32 - 1) | st.sampled_from(ring.points)),
        points=ring.points,
        owners=ring.owners,
        most_percent=draw(st.sampled_from([0, 100, 125, 300])),
    )


@MEMBERS
@given(nodes=candidates(), state=st.integers(0, 2**40), seed=st.integers(0, 999))
@settings(max_examples=examples(20), deadline=None)
def test_the_choice_is_one_of_the_nodes(
    algorithm: Algorithm, nodes: Candidates, state: int, seed: int
) -> None:
    index, after = algorithm.pick(nodes, state, draws(seed))
    assert 0 <= index < len(nodes.loads)
    assert after >= 0


@BY_WEIGHT
@pytest.mark.parametrize("weights", [[1, 1, 1], [1, 2, 5]], ids=["equal", "unequal"])
def test_an_idle_pool_is_shared_by_weight(algorithm: Algorithm, weights: list[int]) -> None:
    if algorithm.name in ("least", "peak_ewma"):
        # (0 + 1) / weight is smallest for the heaviest: these fill by weight.
        weights = [1, 1, 1]
    counts = Counter(run(algorithm, [0, 0, 0], weights, 8000))
    for index, weight in enumerate(weights):
        share = 8000 * weight / sum(weights)
        assert abs(counts[index] - share) < 0.1 * 8000


@BY_WEIGHT
def test_a_pool_that_fills_is_filled_by_weight(algorithm: Algorithm) -> None:
    weights, loads, draw, state = [1, 2, 5], [0, 0, 0], draws(2), 0
    for _ in range(800):
        index, state = algorithm.pick(make_nodes(loads, weights), state, draw)
        loads[index] += 1
    assert [abs(load - share) < 60 for load, share in zip(loads, [100, 200, 500], strict=True)] == [True] * 3


@MEMBERS
def test_a_single_node_is_always_chosen(algorithm: Algorithm) -> None:
    assert run(algorithm, [7], [3], 5) == [0] * 5


@MEMBERS
def test_it_says_what_it_is(algorithm: Algorithm) -> None:
    assert algorithm.help and algorithm.name == algorithm.name.lower()


@MEMBERS
@given(nodes=candidates())
@settings(max_examples=examples(20), deadline=None)
def test_every_node_has_a_score(algorithm: Algorithm, nodes: Candidates) -> None:
    scores = algorithm.score(nodes)
    assert len(scores) == len(nodes.loads)
    assert min(scores) >= 0.0


@COMPILED
@given(nodes=candidates(), state=st.integers(0, 2**40), seed=st.integers(0, 999))
@settings(max_examples=examples(60), deadline=None)
def test_the_kernel_makes_the_same_choice(
    algorithm: Algorithm, nodes: Candidates, state: int, seed: int
) -> None:
    here = algorithm.pick(nodes, state, draws(seed))
    assert algorithm.kernel is not None
    assert kernels.run(algorithm.kernel, nodes, state, draws(seed)) == here


nodes = st.lists(st.tuples(st.integers(0, 50), st.integers(1, 9)), min_size=1, max_size=12)


@given(nodes=nodes, state=st.integers(0, 2**40))
@settings(deadline=None)
def test_least_is_truly_the_least(nodes: list[tuple[int, int]], state: int) -> None:
    loads, weights = [n[0] for n in nodes], [n[1] for n in nodes]
    index, _ = ALGORITHMS.get("least").pick(Candidates(loads, weights), state, draws(0))
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
    index, _ = ALGORITHMS.get("two_choices").pick(Candidates(loads, weights), 0, draws(seed))
    others = [i for i in range(len(nodes)) if i != index]
    assert any(loads[index] * weights[i] <= loads[i] * weights[index] for i in others)


def test_two_choices_keeps_queues_shorter_than_lots() -> None:
    longest = {}
    for name in ("random", "two_choices"):
        loads, draw = [0] * 50, draws(3)
        for _ in range(50):
            index, _ = ALGORITHMS.get(name).pick(Candidates(loads, [1] * 50), 0, draw)
            loads[index] += 1
        longest[name] = max(loads)
    assert longest["two_choices"] < longest["random"]


@pytest.mark.parametrize("name", ["random", "two_choices"])
def test_a_draw_out_of_range_is_seen(name: str) -> None:
    with pytest.raises(AssertionError):
        ALGORITHMS.get(name).pick(Candidates([0, 0], [1, 1]), 0, lambda below: below)


def peak(loads: list[int], latencies: list[int], rested: list[int], order: list[int]) -> int:
    """Return who is chosen of two nodes of weight 1 that are drawn in *order*."""
    tickets = iter([order[0], 0])  # the second draw is among the one that is left
    nodes = Candidates(loads, [1, 1], latencies, rested)
    return ALGORITHMS.get("peak_ewma").pick(nodes, 0, lambda below: next(tickets))[0]


@pytest.mark.parametrize(
    ("loads", "latencies", "rested", "chosen"),
    [
        ([2, 2], [1000, 2000], [0, 0], 0),
        ([2, 0], [1000, 2000], [0, 0], 1),
        ([5, 0], [1000, 9000], [0, 0], 0),
        ([5, 0], [1000, 9000], [0, 999], 0),
        ([5, 0], [1000, 9000], [0, 1000], 1),
        ([5, 1], [1000, 9000], [0, 5000], 0),
        ([5, 0], [1000, 0], [0, 9999], 1),
        ([1, 2], [60_000_000, 0], [0, 9999], 0),
    ],
    ids=[
        "the quicker of two equally loaded",
        "a slower one that has less to do",
        "not one that is much slower",
        "nor when it was measured a moment ago",
        "but when it was not for a second: a probe",
        "one probe at a time",
        "a new node gets its first request",
        "an unknown latency is no reason: load decides",
    ],
)
def test_peak_ewma_weighs_latency_by_load(
    loads: list[int], latencies: list[int], rested: list[int], chosen: int
) -> None:
    assert peak(loads, latencies, rested, [0, 1]) == chosen
    assert peak(loads, latencies, rested, [1, 0]) == chosen


@given(
    latency=st.integers(0, 60 * 10**9),
    measured=st.integers(0, 10**12),
    passed=st.integers(0, 10**10),
    taken=st.integers(0, 10**9),
)
def test_the_scoreboard_keeps_latency_as_peak_ewma_says(
    latency: int, measured: int, passed: int, taken: int
) -> None:
    here = next_latency(latency, measured, measured + passed, taken)
    assert time_once(latency, measured, measured + passed, taken) == here


class Race:
    """Nodes that answer in a fixed time, under peak_ewma and a steady load; virtual time."""

    def __init__(self, service_ms: list[int], *, every_us: int = 1000, seed: int = 1) -> None:
        self.service_ms, self.every_us, self.draw = service_ms, every_us, draws(seed)
        self.loads = [0] * len(service_ms)
        self.latency: list[tuple[int, int]] = [(0, 0)] * len(service_ms)
        self.ends: list[tuple[int, int, int]] = []
        self.now = 10**9

    def run(self, seconds: float) -> list[int]:
        """Return how many requests each node got."""
        got = [0] * len(self.loads)
        for _ in range(int(seconds * 1e6 / self.every_us)):
            self.now += self.every_us
            for end, node, began in [e for e in self.ends if e[0] <= self.now]:
                self.ends.remove((end, node, began))
                self.loads[node] -= 1
                self.latency[node] = next_latency(*self.latency[node], end, end - began)
            columns = Candidates(
                self.loads,
                [1] * len(self.loads),
                [-(-ns // 1000) for ns, _ in self.latency],
                [(self.now - at) // 1000 for _, at in self.latency],
            )
            node, _ = ALGORITHMS.get("peak_ewma").pick(columns, 0, self.draw)
            got[node] += 1
            self.loads[node] += 1
            self.ends.append((self.now + self.service_ms[node] * 1000, node, self.now))
        return got


@pytest.mark.parametrize("seed", range(5))
def test_peak_ewma_leaves_a_slow_node_and_finds_out_when_it_is_quick_again(seed: int) -> None:
    race = Race([5, 5, 5], seed=seed)
    before = race.run(2.0)
    race.service_ms[0] = 50
    race.run(1.0)
    while_slow = race.run(5.0)
    race.service_ms[0] = 5
    race.run(15.0)
    after = race.run(2.0)
    assert min(before) > 0.25 * sum(before)
    assert 3 <= while_slow[0] < 0.1 * sum(while_slow)
    assert min(after) > 0.2 * sum(after)


@pytest.mark.parametrize("seed", range(5))
def test_one_slow_page_does_not_starve_a_healthy_node(seed: int) -> None:
    race = Race([5, 5, 5], seed=seed)
    race.run(2.0)
    race.latency[0] = next_latency(*race.latency[0], race.now, 3_000_000)  # traefik#12306: 5 of 1,500
    assert race.run(1.5)[0] > 1500 * 0.1


def ring_nodes(usable: list[int], **more: Any) -> Candidates:
    """Return these of four nodes of 10.0.0.x."""
    whole = make_nodes([0] * 4, [1] * 4)
    given = whole._replace(loads=[0] * len(usable), weights=[1] * len(usable), places=usable)
    return given._replace(**more)


def owner(nodes: Candidates) -> int:
    index, _ = ALGORITHMS.get("consistent").pick(nodes, 0, draws(1))
    return nodes.places[index]


def test_consistent_keeps_a_key_on_its_node_while_others_come_and_go() -> None:
    keys = range(0, 2**32, 2**32 // 500)
    with_all = [owner(ring_nodes([0, 1, 2, 3], key=key)) for key in keys]
    without = [owner(ring_nodes([0, 1, 3], key=key)) for key in keys]
    moved = [a for a, b in zip(with_all, without, strict=True) if a != b]
    assert set(moved) == {2}
    assert moved.count(2) == with_all.count(2) > 50


def test_consistent_passes_by_a_node_above_the_average() -> None:
    key = 12345
    first = owner(ring_nodes([0, 1, 2, 3], key=key))
    loads = [10] * 4
    loads[first] = 15
    assert owner(ring_nodes([0, 1, 2, 3], key=key, loads=loads, most_percent=125)) != first
    loads[first] = 14
    assert owner(ring_nodes([0, 1, 2, 3], key=key, loads=loads, most_percent=125)) == first
    loads[first] = 1000
    assert owner(ring_nodes([0, 1, 2, 3], key=key, loads=loads)) == first


def test_first_takes_the_first() -> None:
    assert run(ALGORITHMS.get("first"), [9, 0, 0], [1, 5, 5], 3) == [0, 0, 0]
