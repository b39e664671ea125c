"""Processes that work at the same moment, again and again: to start some for each test is dear."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Self

from tests.house.source import ROOT

__all__ = ["Crowd", "serve"]


class Crowd:
    """*count* processes of the module *program*, which ends in `serve`."""

    def __init__(self, program: str, count: int) -> None:
        self._processes = [
            subprocess.Popen(
                [sys.executable, "-m", program],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(count)
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
            process.communicate()

    def race(self, orders: Iterable[Sequence[Any]]) -> list[Any]:
        """Give each process, from the first on, an order; let all begin when all are ready; return what they say."""
        runners = list(zip(self._processes, orders, strict=False))
        for process, order in runners:
            _say(process, json.dumps(order))
        for process, _ in runners:
            assert _hear(process) == "ready"
        for process, _ in runners:
            _say(process, "go")
        return [json.loads(_hear(process)) for process, _ in runners]


def _say(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


def _hear(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n")


def serve(prepare: Callable[..., Callable[[], object]]) -> None:
    """In a process of a crowd: *prepare* makes of each order what to do at the word."""
    orders: Iterator[str] = iter(sys.stdin.readline, "")
    for order in orders:
        work = prepare(*json.loads(order))
        print("ready", flush=True)
        sys.stdin.readline()
        print(json.dumps(work()), flush=True)
