"""Barrier races: how many a limit admits when everybody asks at the same moment, in many rounds.

    python -m bench.races [--rounds N] [--processes N] [--greenlets N] [--stores workers,shm,memcached]

Each round is a key of its own with room for 3; every greenlet of every process asks for it once,
and all processes start their rounds together, a hundred at a time.  What counts is the column `over`;
`short` is how many rounds admitted fewer than 3.
"""

from __future__ import annotations

import argparse
import mmap
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from tools.real_memcached import running
from wsgistack.ratelimit.clients import Trust
from wsgistack.ratelimit.limiter import Limiter
from wsgistack.ratelimit.rules import Rule
from wsgistack.ratelimit.segment import FOLDER
from wsgistack.ratelimit.slots import SlotTable
from wsgistack.store.url import make_store

NOW = 1_795_000_000_000_000
ROOM = 3
RATES = ["3/hour", "3/hour fixed", "3/hour sliding", "3/hour exact", "3/calendar day", "3 concurrent"]
BLOCK = 100
SPINS = 50
PATIENCE_S = 60  # for the lock of a process that this machine, which does other work, has stopped
MOST_ROUNDS = 1_000_000


@contextmanager
def workers() -> Iterator[str]:
    """What the children of this process share."""
    yield f"workers:{uuid.uuid4().hex}"
    for path in FOLDER.glob(f"wsgistack-limits-{os.getpid()}-*"):
        path.unlink()


@contextmanager
def shm() -> Iterator[str]:
    """A store in shared memory."""
    name = f"races-{uuid.uuid4().hex[:8]}"
    yield f"shm:///{name}?size=64m"
    (FOLDER / f"wsgistack-{name}").unlink()


@contextmanager
def memcached() -> Iterator[str]:
    """Two real servers."""
    with running(2) as servers:
        yield f"memcached://{','.join(one.address for one in servers)}?timeout=10&least_timeout=10"


STORES = {"workers": workers, "shm": shm, "memcached": memcached}


class Barrier:
    """All of *count* processes have come as far; in a file.

    Who waits spins for a moment, so that all begin at once, then sleeps, so that the others get on.
    """

    def __init__(self, path: str, count: int, number: int) -> None:
        with open(path, "r+b") as file:
            self._words = memoryview(mmap.mmap(file.fileno(), 4096)).cast("Q")
        self._count, self._number = count, number

    def wait(self) -> None:
        """Return when all have called this as often."""
        words, number = self._words, self._number
        words[number] += 1
        spins = 0
        while any(words[other] < words[number] for other in range(self._count)):
            spins += 1
            if spins < SPINS:
                os.sched_yield()
            else:
                time.sleep(0.0005)


def race(url: str, rate: str, rounds: int, greenlets: int, barrier: Barrier) -> bytes:
    """Return, of each round, how many of this process's greenlets were admitted."""
    store = None if url.startswith("workers:") else make_store(url)
    limiter = Limiter([Rule("r", rate)], trust=Trust(), now=lambda: NOW, store=store, max_keys=MOST_ROUNDS)
    if store is None:
        limiter.share(url)
        if isinstance(limiter.table, SlotTable):
            limiter.table.wait_s = PATIENCE_S
    admitted = bytearray(rounds)
    decide = limiter.table.decide_one

    def run(begin: int) -> None:
        for number in range(begin, min(begin + BLOCK, rounds)):
            if decide(0, number.to_bytes(4, "big"), 1, NOW)[0] == 0:
                admitted[number] += 1

    for begin in range(0, rounds, BLOCK):
        barrier.wait()
        if url.startswith("memcached:"):
            import gevent

            gevent.joinall([gevent.spawn(run, begin) for _ in range(greenlets)], raise_error=True)
        else:  # nothing switches in the middle of a decision there
            for _ in range(greenlets):
                run(begin)
    if limiter.table.trouble:
        raise SystemExit(f"the store failed {limiter.table.trouble} times")
    return bytes(admitted)


def run_all(url: str, rate: str, rounds: int, processes: int, greenlets: int) -> list[int]:
    """Return how many were admitted in each round."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(bytes(4096))
        file.flush()
        command = [sys.executable, "-m", "bench.races", "--race", url, rate, file.name]
        command += [str(number) for number in (rounds, processes, greenlets)]
        racers = [
            subprocess.Popen([*command, str(number)], stdout=subprocess.PIPE) for number in range(processes)
        ]
        told = [one.communicate()[0] for one in racers]
        if any(len(text) != rounds for text in told):
            raise SystemExit("a process failed")
    return [sum(counts) for counts in zip(*told, strict=True)]


def main() -> None:
    """Race and print, or be one of the processes."""
    if sys.argv[1:2] == ["--race"]:
        url, rate, path, rounds, processes, greenlets, number = sys.argv[2:]
        barrier = Barrier(path, int(processes), int(number))
        sys.stdout.buffer.write(race(url, rate, int(rounds), int(greenlets), barrier))
        return
    parser = argparse.ArgumentParser(prog="python -m bench.races")
    parser.add_argument("--rounds", type=int, default=100_000)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--greenlets", type=int, default=8, help="of each process")
    parser.add_argument("--stores", default=",".join(STORES))
    parser.add_argument("--rates", default="; ".join(RATES))
    options = parser.parse_args()
    print("| store | limit | rounds | asked | over | short | seconds |\n|---|---|---|---|---|---|---|")
    for name in options.stores.split(","):
        for rate in options.rates.split("; "):
            began = time.monotonic()
            with STORES[name]() as url:
                counts = run_all(url, rate, options.rounds, options.processes, options.greenlets)
            over, short = sum(max(count - ROOM, 0) for count in counts), sum(count < ROOM for count in counts)
            asked = options.rounds * options.processes * options.greenlets
            passed = time.monotonic() - began
            print(
                f"| {name} | {rate} | {options.rounds} | {asked} | {over} | {short} | {passed:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
