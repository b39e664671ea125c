"""What a start costs: the balancer until it is ready, beside its peers; the demo until its first answer; commands.

    python -m bench.start [--rounds N] [--only NAMES] [--no-demo]

Each round starts every program once, in turn, and takes three things of each: the time until it is ready, the
CPU that its processes had used by then, all together, and their memory (PSS).  Ready is when the balancer says
so, and when the port of another accepts.  Commands are run to their end.
"""

from __future__ import annotations

import argparse
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from bench.peers import PEERS, Setup
from bench.usage import read_cpu, read_memory

__all__ = ["Start", "render"]

ROOT = Path(__file__).parent.parent
# What pip installs has its bytecode; a shell that keeps Python from writing any would measure the compiler.
ENVIRONMENT = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
WORKERS = 2
END_TIMEOUT_S = 20.0
ACCEPT_STEP_S = 0.002
PAGES = """\
CREATE CACHE pages
SET front.cache = pages
CREATE SERVICE admin
  SET role = management
  SET listen = 127.0.0.1:{port}
ENABLE admin
"""
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "wsgistack --help": ["-m", "wsgistack", "--help"],
    "wsgistack check demo/demo.conf": ["-m", "wsgistack", "check", "demo/demo.conf"],
    "import wsgistack": ["-c", "import wsgistack"],
    "wrap(app, trust, request_id)": [
        "-c",
        "from wsgistack import wrap; wrap(lambda e, s: [], trust=['127.0.0.1'], request_id=True)",
    ],
}


class Start(NamedTuple):
    """What one start took; *memory_mb* is None for what has ended."""

    ready_ms: float
    cpu_ms: float
    memory_mb: float | None = None


@contextmanager
def begun(command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Start *command*, its output in a pipe, and end it after the block."""
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.communicate(timeout=END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def start_until(command: Sequence[str], is_ready: Callable[[subprocess.Popen[bytes]], None]) -> Start:
    """Start *command*, wait until *is_ready* returns, and measure."""
    began = time.perf_counter()
    with begun(command) as process:
        is_ready(process)
        ready_s = time.perf_counter() - began
        threads = read_cpu(process.pid)
        memory = read_memory(process.pid)
    exact_s = sum(threads.threads_ns.values()) / 1e9
    return Start(ready_s * 1e3, exact_s * 1e3, memory.pss / 1e6)


def says(pattern: bytes) -> Callable[[subprocess.Popen[bytes]], None]:
    """Return what waits for a line of output; RuntimeError when the program ends without."""

    def wait(process: subprocess.Popen[bytes]) -> None:
        find(process, pattern)

    return wait


def find(process: subprocess.Popen[bytes], pattern: bytes) -> re.Match[bytes]:
    """Return the match of *pattern* in the next line of output that has one."""
    assert process.stdout is not None
    said = b""
    for line in process.stdout:
        said += line
        if found := re.search(pattern, line):
            return found
    raise RuntimeError(f"it ended: {said.decode(errors='replace')}")


def accepts(port: int) -> Callable[[subprocess.Popen[bytes]], None]:
    """Return what waits until a port accepts."""

    def wait(process: subprocess.Popen[bytes]) -> None:
        while process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                return
            time.sleep(ACCEPT_STEP_S)
        raise RuntimeError("it ended")

    return wait


def answers(process: subprocess.Popen[bytes]) -> None:
    """Wait until the demo's site has answered."""
    site = find(process, rb"http://([0-9.:]+)/ balances")[1].decode()
    with urllib.request.urlopen(f"http://{site}/", timeout=10) as response:
        response.read()


def run_command(words: Sequence[str]) -> Start:
    """Run Python with *words* to its end."""
    before, began = os.times(), time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.DEVNULL)
    after = os.times()
    cpu_s = after.children_user + after.children_system - before.children_user - before.children_system
    return Start((time.perf_counter() - began) * 1e3, cpu_s * 1e3)


def choose_port() -> int:
    """Return a port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def start_peer(name: str, node: str) -> Start:
    """Start one of the balancers; "wsgistack, pages" has a page cache and an admin port too."""
    with tempfile.TemporaryDirectory(prefix="wsgistack-bench-") as folder:
        peer = PEERS[name.partition(",")[0]]
        setup = Setup(Path(folder), choose_port(), (node,), workers=WORKERS)
        command = peer.command(setup)
        if name.endswith("pages"):
            with open(setup.folder / f"{peer.name}.conf", "a") as file:
                file.write(PAGES.format(port=choose_port()))
        ready = says(rb" ready ") if peer.ready_line else accepts(setup.port)
        return start_until(command, ready)


def render(title: str, taken: Mapping[str, Sequence[Start]]) -> str:
    """Return a table of medians."""
    lines = [f"| {title} | ready, ms | lowest | highest | CPU, ms | memory, MB |", "|---" * 6 + "|"]
    for name, starts in taken.items():
        ready = [one.ready_ms for one in starts]
        memories = [one.memory_mb for one in starts if one.memory_mb is not None]
        cells = [statistics.median(ready), min(ready), max(ready)]
        cells.append(statistics.median(one.cpu_ms for one in starts))
        memory = f"{statistics.median(memories):.0f}" if memories else ""
        lines.append(f"| {name} | {' | '.join(f'{cell:.0f}' for cell in cells)} | {memory} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, and print two tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.start", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="wsgistack,nginx,haproxy")
    parser.add_argument("--no-demo", action="store_true")
    given = parser.parse_args()
    names = [name for name in given.only.split(",") if PEERS[name].find()]
    if "wsgistack" in names:
        names.insert(1, "wsgistack, pages")
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:  # the kernel accepts for it
        node = f"127.0.0.1:{listener.getsockname()[1]}"
        tasks: dict[str, Callable[[], Start]] = {name: _peer(name, node) for name in names}
        if not given.no_demo:
            tasks["make demo"] = lambda: start_until(["make", "demo"], answers)
        print(render(f"{WORKERS} workers", take(tasks, given.rounds)), end="\n\n")
    commands = {name: _command(words) for name, words in COMMANDS.items()}
    print(render("command", take(commands, given.rounds)))


def _peer(name: str, node: str) -> Callable[[], Start]:
    return lambda: start_peer(name, node)


def _command(words: Sequence[str]) -> Callable[[], Start]:
    return lambda: run_command(words)


def take(tasks: Mapping[str, Callable[[], Start]], rounds: int) -> dict[str, list[Start]]:
    """Do each task once a round, in turn, after one that does not count."""
    for task in tasks.values():
        task()
    taken: dict[str, list[Start]] = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            taken[name].append(task())
    return taken


if __name__ == "__main__":
    main()
