"""What limits cost: CPU added to a request that passes, and of a refusal beside nginx's limit_req.

    make bench-limits [ARGS="--rounds 7 --seconds 2"]

The rig is bench.proxy's: one worker alone on a core, 32 connections in closed loop, 130-byte responses.
Who is compared takes turns within a round, started anew; medians over the rounds, and of the ratios
within a round.  What passing costs in the worker is less than such a rig can see on a machine that does
other work too, so it is measured by itself as well.  A refusal is a 429 on a kept connection; each sends its own.
"""

from __future__ import annotations

import argparse
import http.client
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.figures import SMALL, run_window
from bench.peers import PEERS, Peer, Setup
from bench.report import machine, write_between_markers
from bench.rig import BenchError, Cores, Rig, Target, open_rig
from wsgistack.balancer.limit import Limit
from wsgistack.balancer.limit_settings import LIMIT_SETTINGS
from wsgistack.balancer.model import Service, Snapshot
from wsgistack.balancer.plane.board import Board
from wsgistack.balancer.plane.plane import Plane
from wsgistack.balancer.service_settings import SERVICE_SETTINGS

__all__ = ["CASES", "HEAD", "decisions", "main", "render", "snapshot_of"]

WIDE, NARROW = "1000000000/second", "1/year"
CONNECTIONS = 32
KEYS = (1, 1_000, 100_000)
STAMPS, EXACT_MS = 500, 1  # the most that an exact rate keeps, soon free again
THREE = f"{WIDE}; 10000000000/hour; 100000000000/day"
FORMS = {
    "one rate": {"rate": WIDE},
    "one rate, nobody is told": {"rate": WIDE, "headers": "none"},
    "three rates": {"rate": THREE},
    "fixed": {"rate": f"{WIDE} fixed"},
    "sliding": {"rate": f"{WIDE} sliding"},
    "calendar": {"rate": "1000000000/calendar day"},
    "exact, 500 stamps": {"rate": f"{STAMPS}/{EXACT_MS} ms exact"},
    "concurrent": {"rate": "1000 concurrent"},
    "by credential and address": {"rate": WIDE, "key": "header:x-api-key"},
}
HEAD = (
    b"GET /small HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: Mozilla/5.0\r\nAccept: text/html,*/*;q=0.8\r\n"
    b"Accept-Language: en-GB,en;q=0.5\r\nAccept-Encoding: gzip, deflate\r\nX-Api-Key: 5f2a9c01\r\n\r\n"
)

Rounds = Mapping[str, Sequence[float]]  # µs a request, by case


def _limited(rate: str, *settings: str) -> Callable[[Setup], str]:
    def configure(setup: Setup) -> str:
        lines = ["CREATE LIMIT api", f"SET rate = {rate}", *(f"SET {one}" for one in settings)]
        return "\n".join([*lines, PEERS["wsgistack"].configuration(setup), "SET front.limit = api", ""])

    return configure


def _limited_nginx(rate: str, *, burst: str = "") -> Callable[[Setup], str]:
    def configure(setup: Setup) -> str:
        text = PEERS["nginx"].configuration(setup)
        zone = f"limit_req_zone $binary_remote_addr zone=api:10m rate={rate};\n  limit_req_status 429;"
        text = text.replace("  upstream origin {", f"  {zone}\n  upstream origin {{", 1)
        return text.replace("    location / {", f"    location / {{\n      limit_req zone=api{burst};", 1)

    return configure


def _case(peer: str, configuration: Callable[[Setup], str]) -> Peer:
    return replace(PEERS[peer], configuration=configuration)


# Each with the status that its requests get.
CASES: dict[str, tuple[Peer, int]] = {
    "wsgistack, no limit": (PEERS["wsgistack"], 200),
    "wsgistack, one rate": (_case("wsgistack", _limited(WIDE)), 200),
    "nginx, no limit": (PEERS["nginx"], 200),
    "nginx, one rate": (_case("nginx", _limited_nginx("1000000r/s", burst=" burst=1000000 nodelay")), 200),
    "wsgistack, refused": (_case("wsgistack", _limited(NARROW)), 429),
    "nginx, refused": (_case("nginx", _limited_nginx("1r/m")), 429),
}


def measure(rig: Rig, peer: Peer, status: int, *, seconds: float) -> float:
    """Return the µs of CPU of a request."""
    options: dict[str, float | str] = {"connections": CONNECTIONS, "seconds": seconds, "warm": 0.4}
    with rig.proxy(peer) as proxy:
        target = SMALL
        if status != 200:  # the first request passed when the proxy was waited for
            target, options["status"] = Target(SMALL.path, _page_bytes(proxy.port, status)), status
        with rig.load(proxy.port, target, options) as load:
            window, sample = run_window(rig, proxy, load)
    return sample["total"] * 1e6 / window.responses


def decisions(*, runs: int = 9, count: int = 100_000) -> dict[str, list[float]]:
    """Return {form: nanoseconds of CPU of a request that passes, by so many clients as KEYS say}.

    The decision, the fields that tell of it, and all else that a limit adds in the worker; medians, of
    runs after a first one that is not counted: it touches new memory.  Each client is met as often as
    the others, so *count* is no less than the most of KEYS.
    """
    found = {}
    for name, settings in FORMS.items():
        board = Board.create(4, limit_keys=4 * max(KEYS))  # three rates take three places of a client
        plane = Plane(board, 0, print)
        try:
            plane.apply(snapshot_of(settings))
            found[name] = [
                statistics.median(
                    [_time(plane, keys, count, exact="exact" in name) for _ in range(runs + 1)][1:]
                )
                for keys in KEYS
            ]
        finally:
            plane.close()
            board.close()
    return found


def _time(plane: Plane, keys: int, count: int, *, exact: bool) -> float:
    """Return the nanoseconds of a request; what passes an exact rate is not more than it has stamps."""
    if exact:
        time.sleep(2 * EXACT_MS / 1000)
        count = min(count, STAMPS * keys)
    return plane.time_limits("front", HEAD, keys, count)


def snapshot_of(settings: Mapping[str, str]) -> dict[str, Any]:
    given = {key: LIMIT_SETTINGS.parse(key, text) for key, text in settings.items()}
    limit = Limit("api", 0, LIMIT_SETTINGS.defaults() | given)
    service = Service(
        "front", 0, "reverse_proxy", True, None, (), SERVICE_SETTINGS.defaults(), (), (), limits=("api",)
    )
    server = {"max_connections": 1}
    return Snapshot(1, server, services={"front": service}, limits={"api": limit}).as_wire()


def _page_bytes(port: int, status: int) -> int:
    """Return how long the page is that a browser gets with *status*: the load generator asks as one."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", SMALL.path, headers={"Accept": "text/html"})
        response = connection.getresponse()
        if response.status != status:
            raise BenchError(f"{response.status} instead of {status}")
        return len(response.read())
    finally:
        connection.close()


def render(rounds: Rounds, costs: Mapping[str, Sequence[float]], header: str) -> str:
    """Return the tables; *costs* by form of a limit and KEYS."""
    lines = [header, "", "| | µs CPU a request | lowest | highest |", "|---|---|---|---|"]
    for name, found in rounds.items():
        cells = (statistics.median(found), min(found), max(found))
        lines.append(f"| {name} | " + " | ".join(f"{cell:.2f}" for cell in cells) + " |")
    lines += ["", "| | measured | target |", "|---|---|---|"]
    ratio = statistics.median(
        a / b for a, b in zip(rounds["wsgistack, refused"], rounds["nginx, refused"], strict=True)
    )
    lines.append(f"| a refusal, of nginx's | {ratio:.2f} | 0.8 |")
    for name in ("wsgistack", "nginx"):
        added = min(rounds[f"{name}, one rate"]) - min(rounds[f"{name}, no limit"])
        lines.append(f"| {name}: added by one rate, between the lowest | {added:+.2f} µs | |")
    lines += [
        "",
        "| added in the worker's own code, ns | one client | 1,000 | 100,000 |",
        "|---|---|---|---|",
    ]
    for name, found in costs.items():
        lines.append(f"| {name} | " + " | ".join(f"{one:.0f}" for one in found) + " |")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and renew the page if asked; exit status 2 when it cannot be measured."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.limits", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measured window")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="renew the result in docs/performance.md")
    options = parser.parse_args(arguments)
    if PEERS["nginx"].find() is None:
        print("nginx is not here: nothing to compare with", file=sys.stderr)
        return 2
    rounds: dict[str, list[float]] = {name: [] for name in CASES}
    try:
        with open_rig(Cores.apart()) as rig:
            for _ in range(options.rounds):
                for name, (peer, status) in CASES.items():
                    rounds[name].append(measure(rig, peer, status, seconds=options.seconds))
    except BenchError as error:
        print(error, file=sys.stderr)
        return 2
    command = f"`python -m bench.limits --rounds {options.rounds} --seconds {options.seconds:g}`"
    text = render(rounds, decisions(), f"Command: {command}; {machine()}; {PEERS['nginx'].version()}")
    print(text)
    if options.write:
        write_between_markers(options.write, text, "bench-limits")
    return 0


if __name__ == "__main__":
    sys.exit(main())
