"""What every measurement stands on: the origin, one proxy at a time, and the load generator.

Everything listens on ephemeral ports of 127.0.0.1, writes into one temporary directory, and is ended
by the process that started it, by its own process object.
"""

from __future__ import annotations

import http.client
import json
import os
import resource
import selectors
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from bench.compiler import build
from bench.peers import Peer, Setup
from bench.usage import process_tree

__all__ = [
    "BenchError",
    "Cores",
    "Load",
    "Proxy",
    "Rig",
    "Target",
    "Window",
    "ask",
    "open_rig",
    "raise_descriptors",
]

NODES = 2
PIN = ("taskset", "--cpu-list")  # of util-linux; it becomes the program that it starts
START_S = 20.0
STOP_S = 10.0
WANTED_DESCRIPTORS = 65_536


class BenchError(Exception):
    """A measurement that cannot be trusted; the message says why."""


@dataclass(frozen=True, slots=True)
class Cores:
    """Which cores each side may use; None leaves it to the scheduler."""

    proxy: frozenset[int] | None
    load: frozenset[int] | None
    origin: frozenset[int] | None

    @classmethod
    def apart(cls) -> Cores:
        """Return the proxy alone on the last core, load and origin on others, if there are others."""
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) < 2:
            return cls(None, None, None)
        origin = cores[1] if len(cores) > 2 else cores[0]
        return cls(frozenset({cores[-1]}), frozenset({cores[0]}), frozenset({origin}))


class Target(NamedTuple):
    """What is asked for, and how many bytes of body must come."""

    path: str
    length: int


@dataclass(frozen=True, slots=True)
class Window:
    """What the load generator saw between one "go" and the last response; latencies in µs."""

    seconds: float
    responses: int
    bytes: int
    connections: int  # open and at rest at the end
    reopened: int
    request_bytes: int
    p50_us: float
    p99_us: float
    p999_us: float
    max_us: float
    errors: dict[str, int]


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy that answers."""

    peer: Peer
    pid: int
    port: int


class Load:
    """One run of the load generator; its connections are open and greeted while this object lives."""

    def __init__(self, process: subprocess.Popen[str], *, limit_s: float) -> None:
        self._process = process
        self._limit_s = limit_s
        self.pid = process.pid
        self.ready = self._read("ready", START_S + limit_s)

    def go(self) -> Window:
        """Start one window and return it; raises BenchError if it does not end in time."""
        assert self._process.stdin
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        return self._read("done", self._limit_s + 15)

    def _read(self, kind: str, timeout_s: float) -> Window:
        assert self._process.stdout
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            if not selector.select(timeout_s):
                raise BenchError(f"the load generator said nothing for {timeout_s:.0f} s")
        line = self._process.stdout.readline()
        if not line:
            raise BenchError(f"the load generator ended with status {self._process.wait(STOP_S)}")
        said = json.loads(line)
        if not said.pop(kind, False):
            raise BenchError(f"expected {kind!r} of the load generator, met {line!r}")
        return Window(**said)


@dataclass(frozen=True, slots=True)
class Rig:
    """The origin and the places of things; one for the whole run."""

    folder: Path
    nodes: tuple[str, ...]
    cores: Cores
    origin_pid: int

    def unpinned(self) -> Rig:
        """Return the same rig with the proxy and the load generator left to the scheduler."""
        return replace(self, cores=Cores(None, None, None))

    @contextmanager
    def proxy(self, peer: Peer, *, workers: int = 1, splice: bool = False) -> Iterator[Proxy]:
        """Start *peer*, wait until it answers, and stop it at the end."""
        with tempfile.TemporaryDirectory(dir=self.folder) as text:
            setup = Setup(Path(text), _free_port(), self.nodes, workers, splice)
            log = setup.folder / "log"
            command = peer.command(setup)
            with log.open("wb") as sink, _running(command, self.cores.proxy, stderr=sink.fileno()) as process:
                _await_answer(peer, process, setup.port, log)
                yield Proxy(peer, process.pid, setup.port)

    @contextmanager
    def load(self, port: int, target: Target, options: Mapping[str, float | str]) -> Iterator[Load]:
        """Connect a load generator; *options* are those of bench/native/load.c."""
        connections = int(options.get("connections", 32))
        command = [str(build("load")), "127.0.0.1", str(port), target.path, str(target.length)]
        command += [f"{name}={value}" for name, value in options.items()]
        with _running(command, self.cores.load, pipes=True) as process:
            load = Load(process, limit_s=float(options.get("seconds", 1)) + float(options.get("warm", 0)))
            if load.ready.connections != connections or any(load.ready.errors.values()):
                raise BenchError(f"{load.ready.connections} of {connections} connected: {load.ready.errors}")
            yield load


@contextmanager
def open_rig(cores: Cores) -> Iterator[Rig]:
    """Start the origin and give the rig around it."""
    command = [str(build("origin")), str(NODES)]
    with (
        tempfile.TemporaryDirectory(prefix="wsgistack-bench-") as folder,
        _running(command, cores.origin, pipes=True) as origin,
    ):
        assert origin.stdout
        nodes = tuple(f"127.0.0.1:{port}" for port in origin.stdout.readline().split())
        yield Rig(Path(folder), nodes, cores, origin.pid)


def raise_descriptors() -> int:
    """Raise RLIMIT_NOFILE as far as wanted and allowed; return what is allowed now."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (WANTED_DESCRIPTORS, max(hard, WANTED_DESCRIPTORS)))
    except (ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def ask(port: int, target: str, *, timeout_s: float = 5.0) -> tuple[int, bytes]:
    """Return the status and the body of one GET to 127.0.0.1."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        connection.request("GET", target, headers={"Host": "shop.example"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


@contextmanager
def _running(
    command: Sequence[str], cores: frozenset[int] | None, *, pipes: bool = False, stderr: int | None = None
) -> Iterator[subprocess.Popen[str]]:
    pin = [*PIN, ",".join(map(str, sorted(cores)))] if cores else []
    process = subprocess.Popen(
        [*pin, *command],
        stdin=subprocess.PIPE if pipes else subprocess.DEVNULL,
        stdout=subprocess.PIPE if pipes else subprocess.DEVNULL,
        stderr=stderr,
        text=True,
    )
    try:
        yield process
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[str]) -> None:
    tree = process_tree(process.pid) if process.poll() is None else []
    if process.stdin:
        process.stdin.close()
    else:
        process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        for pid in tree:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
    if process.stdout:
        process.stdout.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _await_answer(peer: Peer, process: subprocess.Popen[str], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        said_ready = not peer.ready_line or any(
            peer.ready_line in line.split() for line in log.read_text(errors="replace").splitlines()
        )
        try:
            if said_ready and ask(port, "/small") == (200, b"small.\n"):
                return
        except (OSError, http.client.HTTPException):
            pass
        time.sleep(0.05)
    status = "ended" if process.poll() is not None else f"did not answer within {START_S:.0f} s"
    raise BenchError(f"{peer.name} {status}; it said:\n{log.read_text(errors='replace')[-2000:]}")
