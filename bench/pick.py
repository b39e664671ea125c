"""What a choice of a node costs in the plane, the place on it taken and given back.

    make bench-pick

The median of some runs, for each algorithm and size of the pool: with equal weights, with unequal ones,
and with a cap on each node, which is kept exactly over all workers.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import replace
from typing import Any

from wsgistack.balancer.algorithms import ALGORITHMS
from wsgistack.balancer.model import Node, Pool
from wsgistack.balancer.plane.board import Board
from wsgistack.balancer.plane.plane import Plane
from wsgistack.balancer.pool_settings import POOL_SETTINGS

__all__ = ["main", "measure"]

SIZES = (3, 100, 1000)
WORKERS = 4
RUNS = 9
PICKS = 20_000
FORMS: dict[str, dict[str, Any]] = {
    "plain": {},
    "weights": {"weight": 2},  # of every second node
    "caps": {"max_connections": 100},
}


def make_snapshot(algorithm: str, size: int, form: str) -> dict[str, Any]:
    """Return a snapshot with one pool, mypool."""
    nodes = []
    for i in range(size):
        node = Node(f"10.{i // 250}.{i % 250}.1:80", slot=i, weight=1, up=True, connect="127.0.0.1:80")
        nodes.append(replace(node, **FORMS[form]) if form != "weights" or i % 2 else node)
    pool = Pool("mypool", 0, POOL_SETTINGS.defaults() | {"balance_method": algorithm}, tuple(nodes))
    return {
        "version": 1,
        "server": {"max_connections": 1},
        "pools": {"mypool": pool.as_wire()},
        "services": {},
        "lists": {},
    }


def measure(algorithm: str, size: int, form: str, *, runs: int = RUNS, picks: int = PICKS) -> float:
    """Return the nanoseconds of a choice: the median of *runs* means over *picks*."""
    board = Board.create(WORKERS)
    plane = Plane(board, 0, print)
    try:
        plane.apply(make_snapshot(algorithm, size, form))
        return statistics.median(plane.time_picks("mypool", picks) for _ in range(runs))
    finally:
        plane.close()
        board.close()


def main() -> None:
    """Print the table."""
    print(f"Nanoseconds a choice, {WORKERS} workers on the scoreboard; {time.strftime('%Y-%m-%d')}\n")
    print("| algorithm | " + " | ".join(f"{n} nodes, {form}" for form in FORMS for n in SIZES) + " |")
    print("|---|" + "---|" * len(FORMS) * len(SIZES))
    for name in ALGORITHMS.names():
        row = [f"{measure(name, size, form):.0f}" for form in FORMS for size in SIZES]
        print(f"| `{name}` | " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
