"""One operation of a store in this process: `make bench-store`.

``python -m pytest bench/test_store.py --benchmark-enable --benchmark-columns=min,median``
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from wsgistack.store.base import Store
from wsgistack.store.memory import MemoryStore
from wsgistack.store.ring import Member, build
from wsgistack.store.shm.store import ShmStore

STORES: dict[str, Callable[[], Store]] = {
    "memory": lambda: MemoryStore(64 * 1024 * 1024),
    "shm": lambda: ShmStore(None, 64 * 1024 * 1024),
}
VALUE = bytes(200)
pytestmark = pytest.mark.benchmark(timer=time.process_time, warmup=True)


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> Store:
    """A store with a thousand entries."""
    made = STORES[request.param]()
    made.set_many({f"key:{number}": VALUE for number in range(1000)}, 3600)
    return made


def repeated(benchmark: BenchmarkFixture, call: Callable[[], object]) -> None:
    """Measure *call* 2,000 times a round: process_time itself takes as long as one."""
    benchmark.pedantic(call, rounds=100, iterations=2000, warmup_rounds=2)  # type: ignore[no-untyped-call]


def test_get(benchmark: BenchmarkFixture, store: Store) -> None:
    repeated(benchmark, lambda: store.get("key:7"))
    assert store.get("key:7") == VALUE


def test_set_over_a_value(benchmark: BenchmarkFixture, store: Store) -> None:
    repeated(benchmark, lambda: store.set("key:7", VALUE, 60.0))
    assert store.get("key:7") == VALUE


def test_set_a_new_key(benchmark: BenchmarkFixture, store: Store) -> None:
    keys = itertools.cycle([f"new:{number}" for number in range(100_000)])
    repeated(benchmark, lambda: store.set(next(keys), VALUE, 60.0))
    assert store.stats()["items"] > 1000


def test_incr(benchmark: BenchmarkFixture, store: Store) -> None:
    repeated(benchmark, lambda: store.incr("count", 1, 60.0))
    assert store.incr("count", 1, 60.0) > 1


def test_update(benchmark: BenchmarkFixture, store: Store) -> None:
    repeated(benchmark, lambda: store.update("key:7", lambda old: (VALUE, 60.0)))
    assert store.get("key:7") == VALUE


@pytest.mark.parametrize("layout", ["ketama", "libmemcached", "ketama100", "nginx"])
def test_place_a_key_among_100_nodes(benchmark: BenchmarkFixture, layout: str) -> None:
    ring = build(layout, [Member(f"10.0.0.{number}") for number in range(100)])
    repeated(benchmark, lambda: ring.placing.place(b"page:/articles/17"))
    assert 0 <= ring.place("page:/articles/17") < 100


def test_a_node_joins_100(benchmark: BenchmarkFixture) -> None:
    members = [Member(f"10.0.0.{number}") for number in range(100)]
    build("ketama", members)
    names = itertools.count()

    def join() -> None:
        build("ketama", [*members, Member(f"new{next(names)}")])

    benchmark.pedantic(join, rounds=20, warmup_rounds=1)  # type: ignore[no-untyped-call]
