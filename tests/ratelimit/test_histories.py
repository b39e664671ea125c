"""What processes, threads and greenlets saw of one limit can be put into one serial order."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Sequence

import pytest

from tests.house.source import ROOT
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


@pytest.mark.live
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(
    ("place", "processes", "greenlets"),
    [(shm, 4, 0), (workers, 4, 0), (memcached, 4, 0), (memcached, 2, 8)],
    ids=["shm", "workers", "memcached", "memcached greenlets"],
)
def test_processes_saw_one_order(place: object, processes: int, greenlets: int, rate: str) -> None:
    with place() as url:  # type: ignore[operator]  # one of three context managers
        count = 3 if greenlets else 12
        program = [sys.executable, "-m", "tests.ratelimit.witness", url, rate, str(count)]
        witnesses = [
            subprocess.Popen(
                [*program, str(seed), str(greenlets)],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for seed in range(processes)
        ]
        try:
            for one in witnesses:
                assert one.stdout is not None
                assert one.stdout.readline() == "ready\n"
            for one in witnesses:
                assert one.stdin is not None
                one.stdin.write("go\n")
                one.stdin.flush()
            told = [one.stdout.readline() for one in witnesses if one.stdout is not None]
        finally:
            for one in witnesses:
                one.kill()
                one.communicate()
    history = [Seen(*seen) for text in told for seen in json.loads(text)]
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
