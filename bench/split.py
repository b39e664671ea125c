"""What a split costs: CPU added to a request, and the part of it in the worker's own code.

    make bench-split [ARGS="--rounds 7 --seconds 1"]

The rig is bench.proxy's, its load sends no cookie: by cookie every request is that of somebody new, who is
drawn and told, which is the dearest.  All of them go to the same two nodes.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.limits import measure
from bench.peers import PEERS, Peer, Setup
from bench.report import machine, write_between_markers
from bench.rig import BenchError, Cores, open_rig
from wsgistack.balancer.model import Pool, Service, Snapshot
from wsgistack.balancer.plane.board import Board
from wsgistack.balancer.plane.plane import Plane
from wsgistack.balancer.pool_settings import POOL_SETTINGS
from wsgistack.balancer.service_settings import SERVICE_SETTINGS
from wsgistack.balancer.split import parse_rule
from wsgistack.splits import make_key, mark_of

__all__ = ["main", "render"]

KEY = make_key("0123456789abcdef")
TOKEN = "2b3ea1459fbaa920ca2620d6"
FIELDS = (
    "GET /small HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: Mozilla/5.0\r\nAccept: text/html,*/*;q=0.8\r\n"
    "Accept-Language: en-GB,en;q=0.5\r\nAccept-Encoding: gzip, deflate\r\nX-User: ann\r\n"
)
KNOWN = f"Cookie: _ga=GA1.2.3; wsgistack_split={TOKEN}.{mark_of(KEY, TOKEN)}\r\n"
FORMS = {
    "our cookie is there": ("beta 5% cookie", KNOWN),
    "somebody new, who is told": ("beta 5% cookie", ""),
    "ip": ("beta 5% ip", ""),
    "header": ("beta 5% header x-user", ""),
}

Rounds = Mapping[str, Sequence[float]]  # µs a request, by case


def _split(rule: str) -> Callable[[Setup], str]:
    def configure(setup: Setup) -> str:
        text = PEERS["wsgistack"].configuration(setup)
        nodes = [line.split()[-1] for line in text.splitlines() if line.strip().upper().startswith("POOL ")]
        pool = ["CREATE POOL beta", *(f"POOL ADD beta {node}" for node in nodes)]
        return "\n".join([*pool, text, f"SET front.split = {rule}", ""])

    return configure


def _case(configuration: Callable[[Setup], str]) -> Peer:
    return replace(PEERS["wsgistack"], configuration=configuration)


CASES: dict[str, Peer] = {
    "no split": PEERS["wsgistack"],
    "by address": _case(_split("beta 50% ip")),
    "by cookie, all of them new": _case(_split("beta 50% cookie")),
}


def decisions(*, runs: int = 9, count: int = 50_000) -> dict[str, float]:
    """Return the nanoseconds that finding the bucket takes, and the line that tells of it; medians."""
    found = {}
    for name, (rule, more) in FORMS.items():
        board = Board.create(4)
        plane = Plane(board, 0, print)
        try:
            plane.apply(_snapshot(rule))
            head = f"{FIELDS}{more}\r\n".encode()
            found[name] = statistics.median(plane.time_limits("front", head, 1, count) for _ in range(runs))
        finally:
            plane.close()
            board.close()
    return found


def _snapshot(rule: str) -> dict[str, Any]:
    service = Service(
        "front", 0, "reverse_proxy", True, None, (), SERVICE_SETTINGS.defaults(), (), (),
        split=parse_rule(rule), split_key=KEY, cells={"-": 0, "beta": 1},
    )  # fmt: skip
    pools = {"beta": Pool("beta", 0, POOL_SETTINGS.defaults(), ())}
    return Snapshot(1, {"max_connections": 1}, pools=pools, services={"front": service}).as_wire()


def render(rounds: Rounds, costs: Mapping[str, float], header: str) -> str:
    """Return the tables; *costs* by form of a split."""
    lines = [header, "", "| | µs CPU a request | lowest | highest |", "|---|---|---|---|"]
    for name, found in rounds.items():
        cells = (statistics.median(found), min(found), max(found))
        lines.append(f"| {name} | " + " | ".join(f"{cell:.2f}" for cell in cells) + " |")
    lines += ["", "| added in the worker's own code | ns |", "|---|---|"]
    lines += [f"| {name} | {cost:.0f} |" for name, cost in costs.items()]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and renew the page if asked; exit status 2 when it cannot be measured."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.split", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measured window")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="renew the result in docs/performance.md")
    options = parser.parse_args(arguments)
    rounds: dict[str, list[float]] = {name: [] for name in CASES}
    try:
        with open_rig(Cores.apart()) as rig:
            for _ in range(options.rounds):
                for name, peer in CASES.items():
                    rounds[name].append(measure(rig, peer, 200, seconds=options.seconds))
    except BenchError as error:
        print(error, file=sys.stderr)
        return 2
    command = f"`python -m bench.split --rounds {options.rounds} --seconds {options.seconds:g}`"
    text = render(rounds, decisions(), f"Command: {command}; {machine()}")
    print(text)
    if options.write:
        write_between_markers(options.write, text, "bench-split")
    return 0


if __name__ == "__main__":
    sys.exit(main())
