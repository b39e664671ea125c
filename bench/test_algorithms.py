"""One choice of a node by each balancing algorithm in plain Python: what a plug-in without a kernel pays.

``python -m pytest bench/test_algorithms.py --benchmark-enable --benchmark-group-by=param:count``
"""

import random

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from wsgistack.balancer.algorithms import ALGORITHMS, Algorithm, Candidates
from wsgistack.balancer.ring import make_ring


@pytest.mark.parametrize("count", [2, 10, 100])
@pytest.mark.parametrize("algorithm", [part for _, part in ALGORITHMS], ids=ALGORITHMS.names())
def test_one_choice(benchmark: BenchmarkFixture, algorithm: Algorithm, count: int) -> None:
    source = random.Random(1)
    weights = [source.randrange(1, 4) for _ in range(count)]
    ring = make_ring(tuple((f"10.0.0.{i}:80", weight) for i, weight in enumerate(weights)))
    nodes = Candidates(
        loads=[source.randrange(20) for _ in range(count)],
        weights=weights,
        latencies_us=[source.randrange(1000, 9000) for _ in range(count)],
        rested_ms=[source.randrange(900) for _ in range(count)],
        places=range(count),
        key=12345,
        points=ring.points,
        owners=ring.owners,
    )
    index, _ = benchmark(algorithm.pick, nodes, 0, source.randrange)
    assert 0 <= index < count
