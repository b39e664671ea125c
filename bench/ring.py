"""`python -m bench.ring`: MemcacheRing beside pymemcache, pylibmc and meta-memcache, those that are here.

Three real memcached servers (one thread each) on 127.0.0.1, clients and servers on one core; each
client is measured in a process of its own, turns taken in every round.  It installs nothing; what is
measured, and how, is told in docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench.report import machine, number, write_between_markers
from bench.ring_peers import PEERS
from tools.leash import die_with_parent
from tools.real_memcached import Memcached, listening

__all__ = ["main"]

SERVERS = 3
DELAY_S = 0.00115  # each way: 2.3 ms there and back
HANG_S = 4.0
LIMIT_S = 0.2
US = "wsgistack"


@dataclass(frozen=True, slots=True)
class Figure:
    """What is measured: with or without gevent, through the delay or not, and what the aim is."""

    title: str
    name: str
    unit: str
    gevent: bool = False
    delayed: bool = False
    servers: int = SERVERS
    aim: float | None = None
    more_is_better: bool = False


FIGURES = [
    Figure("get, plain", "get", "us"),
    Figure("get, gevent", "get", "us", gevent=True, aim=25),
    Figure("set, gevent", "set", "us", gevent=True),
    Figure("get_many of 100, plain", "get_many", "us", aim=130),
    Figure("get_many of 100, gevent", "get_many", "us", gevent=True, aim=170),
    Figure("set_many of 100, plain", "set_many", "us", aim=180),
    Figure("set_many of 100, gevent", "set_many", "us", gevent=True),
    Figure("get_many of 100 behind the delay, gevent", "get_many", "rtt", gevent=True, delayed=True, aim=1.2),
    Figure("set_many of 100 behind the delay, gevent", "set_many", "rtt", gevent=True, delayed=True, aim=1.2),
    Figure(
        "50 greenlets, one node",
        "greenlets",
        "per_s",
        gevent=True,
        servers=1,
        aim=100_000,
        more_is_better=True,
    ),
]
OURS = [  # what no other client here does
    Figure("50 greenlets at one outdated value", "stampede", "ms_49", gevent=True, servers=1, aim=1.0),
    Figure("a node joins and leaves a ring of 100", "change", "gap_ms", gevent=True, servers=1, aim=2.0),
]
FAILURES = [
    Figure("one of three nodes killed, 50 greenlets, 200 ms limit", "kill", "exceptions", gevent=True, aim=0),
    Figure(
        "one of three nodes hung for 4 s, 50 greenlets, 200 ms limit", "hang", "lost_s", gevent=True, aim=1.0
    ),
]


class Bench:
    """The servers and the core that everything runs on."""

    def __init__(self, core: int, seconds: float) -> None:
        self.core = core
        self.seconds = seconds

    @contextmanager
    def servers(self, count: int) -> Iterator[list[Memcached]]:
        """Yield running servers on the core."""
        with ExitStack() as stack:
            options = ("-l", "127.0.0.1", "-p", "-1", "-t", "1")
            servers = [stack.enter_context(listening(*options, is_leashed=True)) for _ in range(count)]
            for server in servers:
                for task in Path("/proc", str(server.process.pid), "task").iterdir():
                    os.sched_setaffinity(int(task.name), {self.core})
            yield servers

    @contextmanager
    def ways(self, servers: Sequence[Memcached], *, delayed: bool) -> Iterator[list[str]]:
        """Yield the addresses of *servers*, behind a delay each if they shall be *delayed*."""
        with ExitStack() as stack:
            addresses = [server.address for server in servers]
            if delayed:
                addresses = [f"127.0.0.1:{stack.enter_context(_delay(server.port))}" for server in servers]
            yield addresses

    def ask(
        self, peer: str, figure: Figure, addresses: Sequence[str], freeze: Memcached | None = None
    ) -> dict[str, float]:
        """Return what one client's process measured."""
        order = {
            "peer": peer,
            "figure": figure.name,
            "gevent": figure.gevent,
            "addresses": list(addresses),
            "timeout_s": LIMIT_S if freeze else 5.0,
            "seconds": HANG_S if freeze else self.seconds,
            "core": self.core,
        }
        command = [sys.executable, "-m", "bench.ring_worker", json.dumps(order)]
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - no thread runs yet
        )
        assert process.stdin
        assert process.stdout
        with process:
            try:
                if freeze is not None:
                    process.stdout.readline()
                    process.stdin.write("go\n")
                    process.stdin.flush()
                    time.sleep(0.3)
                    if figure.name == "kill":
                        freeze.kill()
                    else:
                        os.kill(freeze.process.pid, signal.SIGSTOP)
                said = process.stdout.readline()
            finally:
                if freeze is not None and figure.name == "hang":
                    os.kill(freeze.process.pid, signal.SIGCONT)
                process.stdin.close()
        return dict(json.loads(said)) if said else {}


@contextmanager
def _delay(port: int) -> Iterator[int]:
    command = [sys.executable, "-m", "bench.delay", str(port), str(DELAY_S)]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=die_with_parent,  # noqa: PLW1509 - no thread runs yet
    ) as process:
        try:
            assert process.stdout
            yield int(process.stdout.readline())
        finally:
            process.kill()


def _round_trip_us(address: str) -> float:
    """Return the round trip through a delay, as one request after another sees it."""
    import socket

    host, _, port = address.rpartition(":")
    times = []
    with socket.create_connection((host, int(port))) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(100):
            began = time.perf_counter()
            sock.sendall(b"mn\r\n")
            sock.recv(100)
            times.append(time.perf_counter() - began)
    return min(times) * 1e6


def measure(
    bench: Bench, figure: Figure, peers: Sequence[str], rounds: int
) -> dict[str, list[dict[str, float]]]:
    """Return what each client came to in each round."""
    results: dict[str, list[dict[str, float]]] = {peer: [] for peer in peers}
    for number_of_round in range(rounds):
        print(f"{figure.title}: round {number_of_round + 1} of {rounds}", file=sys.stderr)
        for peer in peers:
            with bench.servers(figure.servers) as servers:
                fails = figure.name in ("kill", "hang")
                with bench.ways(servers, delayed=figure.delayed) as addresses:
                    found = bench.ask(peer, figure, addresses, servers[0] if fails else None)
                    if figure.delayed and "us" in found:
                        found["rtt"] = found["us"] / _round_trip_us(addresses[0])
                results[peer].append(found)
    return results


def _table(figure: Figure, results: dict[str, list[dict[str, float]]]) -> list[str]:
    columns = list(dict.fromkeys(name for rounds in results.values() for one in rounds for name in one))
    lines = [
        f"### {figure.title}",
        "",
        f"|  | {' | '.join(columns)} | it / {US} |",
        "|---" * (len(columns) + 2) + "|",
    ]
    ours = _median(results.get(US, []), figure.unit)
    for peer, rounds in results.items():
        medians = {name: _median(rounds, name) for name in columns}
        cells = [number(medians[name]) for name in columns]
        mine = medians.get(figure.unit)
        ratio = mine / ours if mine is not None and ours else None
        lines.append(f"| {peer} | {' | '.join(cells)} | {number(ratio)} |")
    return lines


def _median(rounds: Sequence[dict[str, float]], name: str) -> float | None:
    values = [one[name] for one in rounds if name in one]
    return statistics.median(values) if values else None


def _verdicts(results: Sequence[tuple[Figure, dict[str, list[dict[str, float]]]]]) -> list[str]:
    lines = ["### Aims", "", "| figure | measured | aim |  |", "|---|---|---|---|"]
    for figure, rounds in results:
        value = _median(rounds.get(US, []), figure.unit)
        if figure.aim is None or value is None:
            continue
        met = value >= figure.aim if figure.more_is_better else value <= figure.aim
        sign = ">=" if figure.more_is_better else "<="
        lines.append(
            f"| {figure.title} | {number(value)} {figure.unit} | {sign} {figure.aim:g} | {'met' if met else '**missed**'} |"
        )
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the chosen figures and print them as Markdown."""
    parser = argparse.ArgumentParser(prog="python -m bench.ring", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", help="clients, with commas: " + ", ".join(PEERS))
    parser.add_argument("--figures", help="words that their titles hold, with commas")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement")
    parser.add_argument(
        "--core", type=int, default=max(os.sched_getaffinity(0)), help="that everything shares"
    )
    parser.add_argument("--write", type=Path, metavar="PAGE", help="renew the result in docs/performance.md")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    wanted = options.only.split(",") if options.only else list(PEERS)
    unknown = [name for name in wanted if name not in PEERS]
    if unknown:
        parser.error(f"{', '.join(unknown)}: choose from {', '.join(PEERS)}")
    peers = [name for name in wanted if PEERS[name].find()]
    words = options.figures.split(",") if options.figures else [""]
    figures = [one for one in [*FIGURES, *OURS, *FAILURES] if any(word in one.title for word in words)]
    bench = Bench(options.core, options.seconds)
    results = [(figure, measure(bench, figure, _fit(figure, peers), options.rounds)) for figure in figures]
    command = shlex.join(["python", "-m", "bench.ring", *(sys.argv[1:] if arguments is None else arguments)])
    lines = [
        f"- Command: `{command}`",
        f"- Machine: {machine()}; load average at the end {os.getloadavg()[0]:.2f}",
        "- Cores: clients and servers share one",
        *(f"- {name}: {PEERS[name].stated}" for name in peers),
        *(f"- Not here: {name}" for name in wanted if name not in peers),
        "",
        *_verdicts(results),
    ]
    for figure, rounds in results:
        lines += ["", *_table(figure, rounds)]
    text = "\n".join(lines) + "\n"
    print(text)
    if options.write:
        write_between_markers(options.write, text, "bench-ring")
    return 0


def _fit(figure: Figure, peers: Sequence[str]) -> list[str]:
    """Return the clients that the figure makes sense for: greenlets need one that they may share."""
    if figure.name in ("kill", "hang"):
        return [name for name in peers if PEERS[name].cooperates and PEERS[name].shared]
    if figure in OURS:
        return [name for name in peers if name == US]
    if figure.name == "greenlets":
        return [name for name in peers if PEERS[name].shared]
    return list(peers)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        sys.exit(main())
