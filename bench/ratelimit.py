"""Rate limits side by side with the peers that are installed: limits and Flask-Limiter.

    python -m bench.ratelimit [--rounds N]

Installs nothing; `pip install limits Flask-Limiter` in the environment brings the peers.  CPU time of
this process per operation: the best of many batches within a round, so that what else the machine does
is left out; turns taken in every round, medians over the rounds.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tools.real_memcached import running
from tools.turns import counting_turns
from wsgistack.clocks import SteadyClock
from wsgistack.ratelimit import RateLimit, Rule
from wsgistack.ratelimit.algorithms import make_counter
from wsgistack.ratelimit.rates import parse_rates
from wsgistack.ratelimit.slots import segment_bytes
from wsgistack.ratelimit.table import Table
from wsgistack.store.url import make_store

Operation = Callable[[], object]

PAGE_BYTES = 4096
MANY = 100_000
BATCH = 200  # calls: 0.1 to 30 ms
ONE = "60000000/minute"  # one each microsecond: nobody is refused, however quick the decisions are
THREE = "60000000/minute; 3600000000/hour; 86400000000/day"


def bare(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Answer at once."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"ok"]


def find(module: str) -> Any | None:
    """Return a peer's module, or None if it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError:
        return None


def decisions() -> dict[str, Operation]:
    """Return what decides once for a key that is asked for all the time."""
    decide, now = Table([make_counter(parse_rates(ONE)[0])]).bind([(0, 1)]), SteadyClock().read
    found: dict[str, Operation] = {"wsgistack gcra": lambda: decide(b"\xc0\0\2\1", now())}
    limits = find("limits")
    if limits:
        rate = limits.parse(ONE.replace("/", " per "))
        for name, strategy in (
            ("fixed window", limits.strategies.FixedWindowRateLimiter),
            ("sliding window", limits.strategies.SlidingWindowCounterRateLimiter),
        ):
            limiter = strategy(limits.storage.MemoryStorage())
            found[f"limits {name}"] = lambda limiter=limiter: limiter.hit(rate, "192.0.2.1")  # type: ignore[misc]
    return found


def many_keys() -> dict[str, Operation]:
    """Return what decides for a thousand keys in turn."""
    decide, now = Table([make_counter(parse_rates(ONE)[0])]).bind([(0, 1)]), SteadyClock().read
    keys = [number.to_bytes(4, "big") for number in range(1000)]
    turn = iter(keys * 10_000)
    found: dict[str, Operation] = {"wsgistack gcra": lambda: decide(next(turn), now())}
    limits = find("limits")
    if limits:
        rate = limits.parse(ONE.replace("/", " per "))
        limiter = limits.strategies.FixedWindowRateLimiter(limits.storage.MemoryStorage())
        names = iter([f"192.0.2.{number}" for number in range(1000)] * 10_000)
        found["limits fixed window"] = lambda: limiter.hit(rate, next(names))
    return found


def requests(rate: str) -> dict[str, Operation]:
    """Return what serves one request through a limiter, and through none."""
    environ = {"REMOTE_ADDR": "192.0.2.1", "REQUEST_METHOD": "GET", "PATH_INFO": "/", "SCRIPT_NAME": ""}

    def start_response(*arguments: object) -> None:
        return None

    limited: Any = RateLimit(bare, rules=[Rule("r", rate)])
    found: dict[str, Operation] = {
        "no limiter": lambda: bare(dict(environ), start_response),
        "wsgistack": lambda: limited(dict(environ), start_response),
    }
    found.update(_flask(rate))
    return found


def _flask(rate: str) -> dict[str, Operation]:
    flask, limiter = find("flask"), find("flask_limiter")
    if not flask or not limiter:
        return {}
    found: dict[str, Operation] = {}
    environ = find("werkzeug.test").create_environ("/", "http://localhost/")  # type: ignore[union-attr]
    for name, limits in (("Flask, no limiter", None), ("Flask-Limiter", rate)):
        app = flask.Flask(name)
        app.add_url_rule("/", view_func=lambda: "ok", endpoint="hello")
        if limits:
            limiter.Limiter(
                lambda: "192.0.2.1", app=app, default_limits=limits.split("; "), headers_enabled=True
            )
        found[name] = lambda app=app: app.wsgi_app(dict(environ), lambda *arguments: None).close()  # type: ignore[misc]
    return found


def measure(operations: dict[str, Operation], *, rounds: int, seconds: float = 0.2) -> dict[str, list[float]]:
    """Return {name: microseconds per call, the best of each round}, turns taken in every round."""
    figures: dict[str, list[float]] = {name: [] for name in operations}
    for _ in range(rounds):
        for name, operation in operations.items():
            figures[name].append(_one(operation, seconds))
    return figures


def _one(operation: Operation, seconds: float) -> float:
    least, ends = math.inf, time.process_time() + seconds
    while time.process_time() < ends:
        began = time.process_time_ns()
        for _ in range(BATCH):
            operation()
        least = min(least, (time.process_time_ns() - began) / BATCH / 1000)
    return least


def show(title: str, operations: dict[str, Operation], *, rounds: int, base: str | None = None) -> None:
    """Print a table of medians; with *base*, what each adds to that."""
    figures = measure(operations, rounds=rounds)
    print(f"\n### {title}\n\n|  | us | of wsgistack's |\n|---|---|---|")
    ours = next(name for name in figures if name.startswith("wsgistack"))
    for name, rows in figures.items():
        of = [row / own for row, own in zip(rows, figures[ours], strict=True)]
        print(f"| {name} | {statistics.median(rows):.2f} | {statistics.median(of):.1f} |")
    if base:
        added = [row - plain for row, plain in zip(figures[ours], figures[base], strict=True)]
        print(f"| added by wsgistack | {statistics.median(added):.2f} |  |")


def resident_bytes() -> int:
    """Return the memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES


def make_table() -> Table:
    """Return a table of one limit for MANY keys."""
    return Table([make_counter(parse_rates("100/minute")[0])], max_keys=MANY)


def show_memory() -> None:
    """Print what a hundred thousand keys take, and the longest pause among their requests."""
    now = SteadyClock().read()
    keys = [number.to_bytes(4, "big") for number in range(MANY)]
    gc.collect()
    before = resident_bytes()
    table = make_table()
    for key in keys:
        table.decide_one(0, key, 1, now)
    grown = resident_bytes() - before
    longest = []
    for _ in range(5):  # the least of the longest: a pause that is ours is there every time
        table = make_table()
        pauses = []
        for key in keys * 2:
            began = time.process_time_ns()
            table.decide_one(0, key, 1, now)
            pauses.append(time.process_time_ns() - began)
        pauses.sort()
        longest.append((pauses[-1] / 1e6, pauses[int(len(pauses) * 0.9999)] / 1e6))
    worst, usual = min(longest)
    print(f"\n### {MANY} keys\n\n| bytes a key | longest pause, ms | p99.99, ms |\n|---|---|---|")
    print(f"| memory: {grown / MANY:.0f} | {worst:.3f} | {usual:.3f} |")
    print(f"| shared by workers: {segment_bytes(1, MANY) / MANY:.1f} | - | - |")


def round_trips() -> tuple[float, float]:
    """Return how often a decision asks memcached, counted on the wire: of requests that pass, and under abuse.

    Three limits, the fields of draft 10, and metering.  Under abuse a client asks a hundred times a second.
    """
    found, us = [], [1_795_003_200_000_000]
    with running(1) as servers, counting_turns(servers[0].port) as turns:
        for clients, asks in ((100, 10), (1, 1000)):
            store = make_store(f"memcached://{turns.address}?timeout=10&least_timeout=10")
            limited = RateLimit(
                bare, "100/minute; 1000/hour; 20/second", store=store, meter=True, now=lambda: us[0]
            )
            limited({"REMOTE_ADDR": "198.51.100.1"}, lambda *arguments: lambda block: None)  # connects
            before = turns.count
            for number in range(clients * asks):
                us[0] += 10_000
                peer = f"192.0.2.{number % clients}"
                limited({"REMOTE_ADDR": peer}, lambda *arguments: lambda block: None)
            found.append((turns.count - before) / (clients * asks))
            store.close()
    return found[0], found[1]


def show_round_trips() -> None:
    """Print them."""
    try:
        passing, abused = round_trips()
    except FileNotFoundError as error:
        print(f"\nRound trips are left out: {error}")
        return
    print("\n### Round trips of a decision on memcached, 3 limits, fields and metering\n")
    print(f"| requests that pass | under abuse |\n|---|---|\n| {passing:.2f} | {abused:.2f} |")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.ratelimit")
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    absent = [name for name in ("limits", "flask_limiter") if not find(name)]
    if absent:
        print(f"Not installed, so left out: {', '.join(absent)}.")
    show("One decision, one key", decisions(), rounds=rounds)
    show("One decision, a thousand keys", many_keys(), rounds=rounds)
    show("A WSGI request, 1 limit, fields of draft 10", requests(ONE), rounds=rounds, base="no limiter")
    show("A WSGI request, 3 limits, fields of draft 10", requests(THREE), rounds=rounds, base="no limiter")
    show_memory()
    show_round_trips()


if __name__ == "__main__":
    main()
