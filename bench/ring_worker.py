"""One client, measured in a process of its own: `python -m bench.ring_worker JSON`.

The JSON says {peer, figure, gevent, addresses, timeout_s, seconds, core}; what is printed is one JSON
object of numbers.  Times are of wall clock, the best of many short batches: everything shares one
core, so that is the CPU time of client and servers together, undisturbed by others.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from bench.ring_peers import find_peer

__all__ = ["FIGURES"]

VALUE = b"x" * 200
KEYS = [f"page:/articles/{number}" for number in range(100)]
GREENLETS = 50
BATCH_S = 0.002
FREEZES_AFTER_S = 0.25
WINDOW = 500  # operations


def best_us(operation: Callable[[], object], seconds: float) -> float:
    """Return the microseconds of one *operation* in the best of many batches of about 2 ms."""
    operation()
    began = time.perf_counter()
    operation()
    count = max(int(BATCH_S / max(time.perf_counter() - began, 1e-6)), 1)
    best = float("inf")
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        for _ in range(count):
            operation()
        best = min(best, (time.perf_counter() - began) / count)
    return best * 1e6


def single_get(client: Any, seconds: float) -> dict[str, float]:
    client.set(KEYS[0], VALUE)
    assert client.get(KEYS[0]) == VALUE
    return {"us": best_us(lambda: client.get(KEYS[0]), seconds)}


def single_set(client: Any, seconds: float) -> dict[str, float]:
    return {"us": best_us(lambda: client.set(KEYS[0], VALUE), seconds)}


def many_get(client: Any, seconds: float) -> dict[str, float]:
    client.set_many(dict.fromkeys(KEYS, VALUE))
    assert len(client.get_many(KEYS)) == 100
    return {"us": best_us(lambda: client.get_many(KEYS), seconds)}


def many_set(client: Any, seconds: float) -> dict[str, float]:
    values = dict.fromkeys(KEYS, VALUE)
    return {"us": best_us(lambda: client.set_many(values), seconds)}


def greenlets(client: Any, seconds: float) -> dict[str, float]:
    """Return operations per second of fifty greenlets, in the best window."""
    import gevent

    client.set(KEYS[0], VALUE)
    counted, best, since = 0, 0.0, time.perf_counter()
    end = since + seconds

    def work() -> None:
        nonlocal counted, best, since
        while since < end:  # a client that holds up the hub never lets anybody else look at the clock
            value = client.get(KEYS[0])
            counted += value == VALUE  # a wrong answer is no operation
            if counted and counted % WINDOW == 0:
                now = time.perf_counter()
                best, since = max(best, WINDOW / (now - since)), now

    gevent.joinall([gevent.spawn(work) for _ in range(GREENLETS)])
    return {"per_s": best}


def hang(client: Any, seconds: float) -> dict[str, float]:
    """Return what fifty greenlets lose in *seconds* while one of three servers stands still.

    The parent freezes it when this prints a line, and lets it go at the end.
    """
    import gevent

    client.set_many(dict.fromkeys(KEYS, VALUE))
    lost_s = exceptions = operations = 0.0
    latencies: list[float] = []
    before: list[float] = []  # until the parent freezes it

    def work(number: int) -> None:
        nonlocal lost_s, exceptions, operations
        while time.perf_counter() < end:
            for key in KEYS[number::7]:
                began = time.perf_counter()
                try:
                    client.get(key)
                except Exception:  # noqa: BLE001 - counted
                    exceptions += 1
                took = time.perf_counter() - began
                operations += 1
                latencies.append(took)
                if began < start + FREEZES_AFTER_S:
                    before.append(took)
                if took > 0.010:
                    lost_s += took
                gevent.sleep(0.02)  # far below what one core serves: what is lost is not queueing

    print("ready", flush=True)
    sys.stdin.readline()
    start = time.perf_counter()
    end = start + seconds
    gevent.joinall([gevent.spawn(work, number) for number in range(GREENLETS)])
    latencies.sort()
    return {
        "lost_s": lost_s,
        "exceptions": exceptions,
        "operations": operations,
        "max_ms": latencies[-1] * 1e3,
        "p99_before_ms": sorted(before)[int(len(before) * 0.99)] * 1e3,
        "p99_ms": latencies[int(len(latencies) * 0.99)] * 1e3,
    }


def stampede(client: Any, seconds: float) -> dict[str, float]:
    """Return what fifty greenlets wait for one value that was outdated, while one of them makes it.

    `ms_49`: the longest of the 49 who are given the old one; `builds`: how often it was made a round.
    """
    import gevent

    builds = rounds = 0
    slowest: list[float] = []
    waits: list[float] = []

    def build() -> bytes:
        nonlocal builds
        builds += 1
        gevent.sleep(0.05)
        return VALUE

    def ask() -> None:
        began = time.perf_counter()
        value = client.fetch(KEYS[0], build, 60, grace=60)
        waits.append(time.perf_counter() - began)
        assert value == VALUE

    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        client.set(KEYS[0], VALUE, 120)
        client.invalidate(KEYS[0], soft=True, grace=60)
        waits.clear()
        gevent.joinall([gevent.spawn(ask) for _ in range(GREENLETS)], raise_error=True)
        slowest.append(sorted(waits)[GREENLETS - 2])
        rounds += 1
    slowest.sort()
    return {"ms_49": slowest[len(slowest) // 2] * 1e3, "builds": builds / rounds}


def change(client: Any, seconds: float) -> dict[str, float]:
    """Return for how long the loop stands still while a node joins and leaves a ring of a hundred.

    `cold_ms`: what making such a ring takes.
    """
    import gevent

    servers = [f"10.0.0.{number}:11211" for number in range(1, 101)]
    gaps: list[float] = []
    ring = type(client)(servers)
    cold_s = min(_time(lambda: type(client)(servers)) for _ in range(5))

    def tick() -> None:
        last = time.perf_counter()
        while True:
            gevent.sleep(0)
            now = time.perf_counter()
            gaps.append(now - last)
            last = now

    ticker = gevent.spawn(tick)
    changes: list[float] = []
    for number in range(20):
        wanted = 101 - number % 2
        gaps.clear()
        (ring.remove_node if number % 2 else ring.add_node)("10.0.1.1")
        while len(ring._cluster.nodes()) != wanted:  # not ring.nodes(), which counts for half a millisecond
            gevent.sleep(0.001)
        changes.append(max(gaps))
    ticker.kill()
    return {"gap_ms": max(changes) * 1e3, "median_gap_ms": sorted(changes)[10] * 1e3, "cold_ms": cold_s * 1e3}


def _time(function: Callable[[], object]) -> float:
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


FIGURES: dict[str, Callable[[Any, float], dict[str, float]]] = {
    "get": single_get,
    "set": single_set,
    "get_many": many_get,
    "set_many": many_set,
    "greenlets": greenlets,
    "hang": hang,
    "kill": hang,
    "stampede": stampede,
    "change": change,
}


def main(arguments: Sequence[str]) -> None:
    """Measure what the first argument says and print it."""
    order = json.loads(arguments[0])
    os.sched_setaffinity(0, {order["core"]})
    if order["gevent"]:
        from gevent import monkey

        monkey.patch_all()
    client = find_peer(order["peer"]).make(order["addresses"], order["timeout_s"])
    print(json.dumps(FIGURES[order["figure"]](client, order["seconds"])), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
