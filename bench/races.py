"""Barrier races: how many a limit admits when everybody asks at the same moment, in many rounds.

    python -m bench.races [--rounds N] [--processes N] [--asks N] [--stores memory,workers,shm,memcached]

Each round is a key of its own with room for 3.  In `memory` it is asked for by each of `--threads`
threads of one process that switch all the time (`memory-plain`: without the compiled modules);
elsewhere by each of `--processes` processes, `--asks` times.  All begin together, some hundred rounds
at a time, each with the machine's clock.  In memcached an ask is a greenlet's, all of which are under
way at once, and a round trip asks for `--pipeline` rounds: the log of each decides it alone.

What counts is the column `over`; `short` is how many rounds admitted fewer than 3.
"""

from __future__ import annotations

import argparse
import mmap
import os
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from tools.real_memcached import running
from wsgistack.ratelimit import table, taking
from wsgistack.ratelimit.clients import Trust
from wsgistack.ratelimit.journal import JournalTable
from wsgistack.ratelimit.limiter import Limiter
from wsgistack.ratelimit.rules import Rule
from wsgistack.ratelimit.segment import FOLDER
from wsgistack.ratelimit.slots import SlotTable
from wsgistack.store.url import make_store

NOON_US = 1_795_003_200_000_000  # no window of an hour or a day ends soon after
ROOM = 3
RATES = ["3/hour", "3/hour fixed", "3/hour sliding", "3/hour exact", "3/calendar day", "3 concurrent"]
BLOCK = 500
SPINS = 50
PATIENCE_S = 600  # for the lock of a process that this machine, which does other work, has stopped
MOST_ROUNDS = 1_000_000
SWITCH_S = 1e-5  # a thread is taken off within a decision or two

Ask = Callable[[Sequence[int]], "list[bool]"]


@contextmanager
def memory() -> Iterator[str]:
    """One process, compiled where that was possible."""
    yield "memory"


@contextmanager
def memory_plain() -> Iterator[str]:
    """One process, in plain Python."""
    yield "memory-plain"


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
        yield f"memcached://{','.join(one.address for one in servers)}?timeout=60&least_timeout=60"


STORES = {
    "memory": memory,
    "memory-plain": memory_plain,
    "workers": workers,
    "shm": shm,
    "memcached": memcached,
}


class Crowd(NamedTuple):
    """How many ask in each round: *processes* *asks* times each, or *threads* of one process once."""

    processes: int = 8
    asks: int = 8
    threads: int = 64
    pipeline: int = 1


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


def clock_from(began_ns: int) -> Callable[[], int]:
    """Return what tells the microseconds of all processes, which begin at noon."""
    return lambda: NOON_US + (time.monotonic_ns() - began_ns) // 1000


def key_of(number: int) -> bytes:
    """Return the key of a round."""
    return number.to_bytes(4, "big")


def open_limiter(url: str, rate: str, now: Callable[[], int]) -> Limiter:
    """Return a limiter of one rule whose states are where *url* says."""
    if url == "memory-plain":
        vars(table)["Taker"] = taking.Taker  # of this process alone, which does nothing else
    store = make_store(url) if "://" in url else None
    limiter = Limiter([Rule("r", rate)], trust=Trust(), now=now, store=store, max_keys=MOST_ROUNDS)
    if url.startswith("workers:"):
        limiter.share(url)
        if isinstance(limiter.table, SlotTable):
            limiter.table.wait_s = PATIENCE_S
    return limiter


def one_by_one(limiter: Limiter) -> Ask:
    """Return what asks for some rounds, each by itself."""
    decide, now = limiter.table.decide_one, limiter.now
    return lambda numbers: [decide(0, key_of(number), 1, now())[0] == 0 for number in numbers]


def together(journal: JournalTable, now: Callable[[], int], count: int) -> Ask:
    """Return what asks for *count* rounds in a round trip: JournalTable.decide without its memory of refusals."""

    def ask(numbers: Sequence[int]) -> list[bool]:
        admitted = []
        for at in range(0, len(numbers), count):
            groups = journal._group([(0, key_of(number), 1) for number in numbers[at : at + count]])
            admitted += [outcome.index == -1 for outcome in journal._ask(groups, now())]
        return admitted

    return ask


def race(url: str, rate: str, rounds: int, began_ns: int, crowd: Crowd, barrier: Barrier) -> bytes:
    """Return, of each round, how often this process was admitted."""
    limiter = open_limiter(url, rate, clock_from(began_ns))
    journal = limiter.table
    is_far = isinstance(journal, JournalTable)
    if isinstance(journal, JournalTable) and crowd.pipeline > 1:
        ask = together(journal, limiter.now, crowd.pipeline)
    else:
        ask = one_by_one(limiter)
    admitted = bytearray(rounds)

    def run(block: range) -> None:
        for number, is_in in zip(block, ask(block), strict=True):
            admitted[number] += is_in

    for begin in range(0, rounds, BLOCK):
        block = range(begin, min(begin + BLOCK, rounds))
        barrier.wait()
        if is_far:
            import gevent

            gevent.joinall([gevent.spawn(run, block) for _ in range(crowd.asks)], raise_error=True)
        else:  # nothing switches in the middle of a decision there
            for _ in range(crowd.asks):
                run(block)
    if limiter.table.trouble:
        raise SystemExit(f"the store failed {limiter.table.trouble} times")
    return bytes(admitted)


def race_threads(url: str, rate: str, rounds: int, count: int) -> list[bytes]:
    """Return, of each of *count* threads, how often it was admitted in each round."""
    limiter = open_limiter(url, rate, clock_from(time.monotonic_ns()))
    ask = one_by_one(limiter)
    told = [bytearray(rounds) for _ in range(count)]
    barrier = threading.Barrier(count, timeout=PATIENCE_S)

    def run(admitted: bytearray) -> None:
        for begin in range(0, rounds, BLOCK):
            block = range(begin, min(begin + BLOCK, rounds))
            barrier.wait()
            admitted[block.start : block.stop] = bytes(ask(block))

    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    try:
        threads = [threading.Thread(target=run, args=(admitted,)) for admitted in told]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    if barrier.broken:  # this machine had no time for us, or a thread failed: what follows was not asked
        raise SystemExit(f"a thread was not at the barrier within {PATIENCE_S} s")
    return [bytes(admitted) for admitted in told]


def run_all(url: str, rate: str, rounds: int, crowd: Crowd) -> list[bytes]:
    """Return, of each contender, how often it was admitted in each round."""
    count = 1 if url.startswith("memory") else crowd.processes
    with tempfile.NamedTemporaryFile() as file:
        file.write(bytes(4096))
        file.flush()
        command = [sys.executable, "-m", "bench.races", "--race", url, rate, file.name]
        command += [str(number) for number in (rounds, time.monotonic_ns(), *crowd)]
        racers = [
            subprocess.Popen([*command, str(number)], stdout=subprocess.PIPE) for number in range(count)
        ]
        told = b"".join([one.communicate()[0] for one in racers])
    contenders = crowd.threads if count == 1 and url.startswith("memory") else count
    if len(told) != rounds * contenders:
        raise SystemExit("a process failed")
    return [told[at : at + rounds] for at in range(0, len(told), rounds)]


def be_one(url: str, rate: str, path: str, rounds: int, began_ns: int, crowd: Crowd, number: int) -> None:
    """Be one of the processes: write what it was granted to standard output."""
    if url.startswith("memory"):
        told = race_threads(url, rate, rounds, crowd.threads)
    else:
        told = [race(url, rate, rounds, began_ns, crowd, Barrier(path, crowd.processes, number))]
    sys.stdout.buffer.write(b"".join(told))


def show(name: str, rate: str, crowd: Crowd, told: Sequence[bytes], seconds: float) -> str:
    """Return the row of a race."""
    rounds = len(told[0])
    counts = [sum(each) for each in zip(*told, strict=True)]
    over, short = sum(max(count - ROOM, 0) for count in counts), sum(count < ROOM for count in counts)
    asks = crowd.threads if name.startswith("memory") else crowd.processes * crowd.asks
    figures = (rounds, rounds * asks, sum(counts), over, short)
    return f"| {name} | {rate} | {' | '.join(f'{figure:,}' for figure in figures)} | {seconds:.0f} |"


def main() -> None:
    """Race and print, or be one of the processes."""
    if sys.argv[1:2] == ["--race"]:
        url, rate, path, rounds, began_ns, *numbers, number = sys.argv[2:]
        be_one(url, rate, path, int(rounds), int(began_ns), Crowd(*map(int, numbers)), int(number))
        return
    parser = argparse.ArgumentParser(prog="python -m bench.races")
    parser.add_argument("--rounds", type=int, default=100_000)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--asks", type=int, default=2, help="of each process in each round")
    parser.add_argument("--threads", type=int, default=64, help="in memory")
    parser.add_argument(
        "--pipeline", type=int, default=50, help="rounds of a round trip (1: as decided live)"
    )
    parser.add_argument("--stores", default=",".join(STORES))
    parser.add_argument("--rates", default="; ".join(RATES))
    options = parser.parse_args()
    crowd = Crowd(options.processes, options.asks, options.threads, options.pipeline)
    print("| store | limit | rounds | asked | admitted | over | short | seconds |\n" + "|---" * 8 + "|")
    for name in options.stores.split(","):
        for rate in options.rates.split("; "):
            began = time.monotonic()
            with STORES[name]() as url:
                told = run_all(url, rate, options.rounds, crowd)
            print(show(name, rate, crowd, told, time.monotonic() - began), flush=True)


if __name__ == "__main__":
    main()
