"""One choice of a node by each balancing algorithm in plain Python: what a service pays without a kernel.

``python -m pytest bench/test_algorithms.py --benchmark-enable --benchmark-group-by=param:count``
"""

import random

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from wsgistack.balancer.algorithms import ALGORITHMS, Algorithm


@pytest.mark.parametrize("count", [2, 10, 100])
@pytest.mark.parametrize("algorithm", [part for _, part in ALGORITHMS], ids=ALGORITHMS.names())
def test_one_choice(benchmark: BenchmarkFixture, algorithm: Algorithm, count: int) -> None:
    source = random.Random(1)
    loads = [source.randrange(20) for _ in range(count)]
    weights = [source.randrange(1, 4) for _ in range(count)]
    index, _ = benchmark(algorithm.pick, loads, weights, 0, source.randrange)
    assert 0 <= index < count
