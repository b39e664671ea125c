"""One of several processes that ask at random and write down what they saw; see test_histories.

    python -m tests.ratelimit.witness URL RATE COUNT SEED GREENLETS

Prints `ready`, waits for a line, then prints a list of what it saw.
"""

from __future__ import annotations

import json
import random
import sys
import time

from tests.ratelimit.contender import open_limiter
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


def main(url: str, rate: str, count: str, seed: str, greenlets: str) -> None:
    """Ask and tell."""
    limiter = open_limiter(url, rate)
    if int(greenlets):
        import gevent

        def run(number: int) -> list[tuple[int, int, int, int, int]]:
            return watch(limiter, int(count), int(seed) * 1000 + number)

        print("ready", flush=True)
        sys.stdin.readline()
        jobs = [gevent.spawn(run, number) for number in range(int(greenlets))]
        seen = [one for job in jobs for one in job.get()]
    else:
        print("ready", flush=True)
        sys.stdin.readline()
        seen = watch(limiter, int(count), int(seed))
    print(json.dumps(seen), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
