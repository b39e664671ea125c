"""The processes of the demo: backends and the balancer, started, watched and ended."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

__all__ = ["ROOT", "Backend", "Balancer", "Trouble", "choose_ports", "stop_all"]

START_TIMEOUT_S = 60.0  # a bound for what never comes: a machine may stand still for a while
STOP_TIMEOUT_S = 5.0
DRAIN_TIMEOUT_S = 60.0
READY = re.compile(rb"\bready\b")  # not the "already" of a port that is in use
ROOT = Path(__file__).parent.parent


class Trouble(Exception):
    """The story did not hold, or something did not start; the message says what was seen."""


def choose_ports(wanted: list[int]) -> list[int]:
    """Return *wanted*, each port that is 0 or taken replaced by a free one, all different."""
    held: list[socket.socket] = []
    try:
        for port in wanted:
            listener = socket.socket()
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.append(listener)
            try:
                listener.bind(("127.0.0.1", port))
                listener.listen()
            except OSError:
                held[-1].close()
                held[-1] = socket.create_server(("127.0.0.1", 0))
        return [int(listener.getsockname()[1]) for listener in held]
    finally:
        for listener in held:
            listener.close()


class Backend:
    """One WSGI backend at one address; it can be killed and started again."""

    def __init__(self, name: str, site: str, port: int) -> None:
        self.name = name
        self.site = site
        self.address = f"127.0.0.1:{port}"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process that serves now, or served last."""
        return self.process.pid if self.process else 0

    def is_running(self) -> bool:
        """Say whether the process is alive."""
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start the process; `wait` says when it answers."""
        self.process = _spawn([sys.executable, "-m", "demo.backend", self.site, self.address])

    def wait(self) -> None:
        """Return once the backend accepts connections."""
        host, _, port = self.address.partition(":")
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and self.is_running():
            with suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
                return
            time.sleep(0.02)
        raise Trouble(f"{self.name} at {self.address} does not answer")

    def kill(self) -> None:
        """End the process with SIGKILL, as a crash would."""
        if self.process:
            self.process.kill()
            self.process.wait()


class Balancer:
    """`wsgistack balancer FILE`; its log goes to a file and, if *loud*, to our stderr too."""

    def __init__(self, configuration: Path, *, loud: bool) -> None:
        self.configuration = configuration
        self.log = configuration.with_suffix(".log")
        self.ready = Event()
        self.loud = loud
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; `wait_ready` says when it serves."""
        command = [sys.executable, "-m", "wsgistack", "balancer", str(self.configuration)]
        self.process = _spawn(command, stderr=subprocess.PIPE)
        self.reader = Thread(target=self._read_log, daemon=True)
        self.reader.start()

    def wait_ready(self) -> None:
        """Return once it has said that every worker accepts."""
        assert self.process is not None
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self.ready.wait(0.02):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.reader.join(1)
                log = self.log.read_text() if self.log.exists() else ""
                raise Trouble(f"the balancer did not become ready, exit {self.process.poll()}\n{log}")

    def is_running(self) -> bool:
        """Say whether the supervisor is alive."""
        return self.process is not None and self.process.poll() is None

    def wait(self) -> int:
        """Return the exit status once it has ended by itself, e.g. after `shutdown graceful`."""
        assert self.process is not None
        try:
            return self.process.wait(DRAIN_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise Trouble("the balancer was told to shut down and is still there") from None

    def _read_log(self) -> None:
        assert self.process is not None and self.process.stderr is not None
        with self.log.open("wb") as log, self.process.stderr:
            for line in self.process.stderr:
                log.write(line)
                log.flush()
                if self.loud:
                    sys.stderr.write(f"   | {line.decode(errors='replace')}")
                if READY.search(line):
                    self.ready.set()


def stop_all(parts: list[Backend | Balancer]) -> None:
    """End every process that still runs: SIGTERM, and SIGKILL for those that stay; forget their pages."""
    processes = [part.process for part in parts if part.process]
    for process in processes:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT_S
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _spawn(command: list[str], *, stderr: int | None = None) -> subprocess.Popen[bytes]:
    """Start *command* in a session of its own: Ctrl-C is for the demo, which ends the others in order."""
    return subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stderr=stderr, start_new_session=True
    )
