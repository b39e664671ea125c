"""One of several processes that ask at random and write down what they saw; a crowd of test_histories."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from tests.ratelimit.contender import open_limiter
from tests.ratelimit.crowd import serve
from wsgistack.clock import SteadyClock
from wsgistack.ratelimit.limiter import Limiter

__all__ = ["watch"]


def watch(limiter: Limiter, count: int, seed: int) -> list[tuple[int, int, int, int, int]]:
    """Return what *count* decisions looked like: asked, answered, now, cost, wait."""
    choose, now_of = random.Random(seed), SteadyClock().read
    seen = []
    for _ in range(count):
        cost = choose.choice((1, 1, 2, 3))
        began = time.monotonic_ns()
        now = now_of()
        wait, _ = limiter.table.decide_one(0, b"k", cost, now)
        seen.append((began, time.monotonic_ns(), now, cost, wait))
    return seen


def prepare(
    url: str, rate: str, count: int, seed: int, greenlets: int
) -> Callable[[], list[tuple[int, int, int, int, int]]]:
    """Return what asks *count* times, in each of *greenlets* if there are any, and tells what it saw."""
    limiter = open_limiter(url, rate)
    if not greenlets:
        return lambda: watch(limiter, count, seed)
    import gevent

    def run_all() -> list[tuple[int, int, int, int, int]]:
        jobs = [gevent.spawn(watch, limiter, count, seed * 1000 + number) for number in range(greenlets)]
        return [one for job in jobs for one in job.get()]

    return run_all


if __name__ == "__main__":
    serve(prepare)
