"""What processes, threads and greenlets saw of one limit can be put into one serial order."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager

import pytest

from tests.ratelimit.crowd import Crowd
from tests.ratelimit.linear import Seen, find_order
from tests.ratelimit.test_processes import memcached, shm, workers
from tests.ratelimit.witness import watch
from wsgistack.ratelimit.algorithms import make_counter
from wsgistack.ratelimit.clients import Trust
from wsgistack.ratelimit.limiter import Limiter
from wsgistack.ratelimit.rates import parse_rates
from wsgistack.ratelimit.rules import Rule

RATES = ["9/hour", "30/second burst 5", "9/hour fixed", "9/hour sliding", "9/hour exact", "9/calendar day"]


def check(history: Sequence[Seen], rate: str, *, waits_are_least: bool = False) -> None:
    order = find_order(history, make_counter(parse_rates(rate)[0]), waits_are_least=waits_are_least)
    assert order is not None, (rate, history)
    assert any(one.wait == 0 for one in history) and any(one.wait for one in history)


@pytest.fixture(scope="module")
def of_threads() -> Iterator[Crowd]:
    with Crowd("tests.ratelimit.witness", 4) as crowd:
        yield crowd


@pytest.fixture(scope="module")
def of_greenlets() -> Iterator[Crowd]:
    """A hub that was used once changes what a thread does: these are others."""
    with Crowd("tests.ratelimit.witness", 2) as crowd:
        yield crowd


@pytest.mark.live
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(
    ("place", "crowd", "greenlets"),
    [
        (shm, "of_threads", 0),
        (workers, "of_threads", 0),
        (memcached, "of_threads", 0),
        (memcached, "of_greenlets", 8),
    ],
    ids=["shm", "workers", "memcached", "memcached greenlets"],
)
def test_processes_saw_one_order(
    place: Callable[[], AbstractContextManager[str]],
    crowd: str,
    greenlets: int,
    rate: str,
    request: pytest.FixtureRequest,
) -> None:
    with place() as url:
        count = 3 if greenlets else 12
        told = request.getfixturevalue(crowd).race((url, rate, count, seed, greenlets) for seed in range(4))
    history = [Seen(*seen) for each in told for seen in each]
    check(history, rate, waits_are_least=place is memcached)  # what is refused without asking is older


@pytest.mark.parametrize("rate", RATES)
def test_threads_saw_one_order(rate: str, request: pytest.FixtureRequest) -> None:
    before = sys.getswitchinterval()
    request.addfinalizer(lambda: sys.setswitchinterval(before))
    sys.setswitchinterval(1e-6)
    for round_ in range(10):
        limiter = Limiter([Rule("r", rate)], trust=Trust(), now=lambda: 0)
        history: list[Seen] = []
        barrier = threading.Barrier(8)

        def run(
            seed: int,
            limiter: Limiter = limiter,
            history: list[Seen] = history,
            barrier: threading.Barrier = barrier,
        ) -> None:
            barrier.wait()
            history.extend([Seen(*seen) for seen in watch(limiter, 4, seed)])

        threads = [threading.Thread(target=run, args=(8 * round_ + number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        check(history, rate)
