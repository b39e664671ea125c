"""Real processes for the live tests: the balancer, HTTP nodes behind it, and free ports for both."""

import http.client
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from demo.telnet import Telnet

__all__ = ["Backend", "Balancer", "choose_port", "eventually", "get", "site"]

ROOT = Path(__file__).parent.parent.parent
PATIENCE_S = 20.0
STOP_S = 40.0
ADMIN_S = 60.0  # an upgrade answers when a whole program has started

# Below the range from which the kernel takes the ports of outgoing connections (32768 and up),
# and apart for each process of pytest-xdist.
SHARE = int(re.sub(r"\D", "", os.environ.get("PYTEST_XDIST_WORKER", "gw0"))) % 5
PORTS = range(12000 + 4000 * SHARE, 16000 + 4000 * SHARE)
_given: set[int] = set()


def choose_port() -> int:
    """Return a port of 127.0.0.1 on which nobody listens, a different one each time."""
    while True:
        port = random.choice(PORTS)
        if port in _given:
            continue
        _given.add(port)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def eventually(is_so: Callable[[], object], *, within_s: float = PATIENCE_S, what: str = "") -> None:
    """Return once *is_so()* is true; fail the test when that takes too long."""
    deadline = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < deadline, what or "it did not happen in time"
        time.sleep(0.02)


def get(
    address: str, path: str = "/", *, method: str = "GET", body: bytes | None = None
) -> tuple[int, bytes]:
    """Return (status, body) of one request on a connection of its own."""
    connection = http.client.HTTPConnection(address, timeout=PATIENCE_S)
    try:
        connection.request(method, path, body)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def site(
    nodes: list["Backend"], *, workers: int = 2, pool: str = "", service: str = "", more: str = ""
) -> str:
    """Return a configuration: pool mypool, service mysite on {site}, service admin on {admin}.

    *pool* and *service* are further SET lines of these, *more* are lines at the end.
    """
    return "\n".join(
        [
            f"SERVER workers = {workers}",
            "CREATE POOL mypool",
            *(f"POOL mypool ADD {node.address}" for node in nodes),
            pool,
            "CREATE SERVICE mysite",
            "SET listen = {site}",
            "SET role = reverse_proxy",
            "SET pool = mypool",
            service,
            "ENABLE mysite",
            "CREATE SERVICE admin",
            "SET role = management",
            "SET listen = {admin}",
            "ENABLE admin",
            more,
            "",
        ]
    )


class Backend:
    """A node: tests/live/backend.py as a process.  `GET /` answers its name; see there for more."""

    def __init__(self, name: str = "node", port: int | None = None) -> None:
        self.name = name
        self.port = port or choose_port()
        self.address = f"127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Backend":
        """Start it (again) and return once it accepts."""
        command = [sys.executable, str(Path(__file__).with_name("backend.py")), str(self.port), self.name]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        eventually(self._accepts, what=f"backend {self.name} does not accept")
        return self

    def _accepts(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False

    def kill(self) -> None:
        """End it with SIGKILL, as a crash would; nothing if it does not run."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


class Balancer:
    """`python -m wsgistack balancer FILE`, its log in a file, its sub-processes by pid.

    In *text*, `{site}` and `{admin}` stand for two free addresses; without *arguments* the text is
    written to a file below *folder* and that is what is started.
    """

    def __init__(self, folder: Path, text: str = "", *, arguments: list[str] | None = None) -> None:
        self.site = f"127.0.0.1:{choose_port()}"
        self.admin_address = f"127.0.0.1:{choose_port()}"
        self.folder = folder
        self.file = folder / "balancer.conf"
        self.file.write_text(self._fill(text))
        self.arguments = [self._fill(word) for word in arguments or [str(self.file)]]
        self.log_file = folder / "balancer.log"
        self.process: subprocess.Popen[bytes] | None = None

    def _fill(self, text: str) -> str:
        return text.replace("{site}", self.site).replace("{admin}", self.admin_address)

    def start(self, *, wait: bool = True) -> "Balancer":
        """Start it, and return once it said `ready` (or at once)."""
        command = [sys.executable, "-m", "wsgistack", "balancer", *self.arguments]
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        if wait:
            self.wait_for_log(r" ready ")
        return self

    @property
    def log(self) -> str:
        """Everything it wrote to stdout and stderr until now."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def wait_for_log(self, pattern: str, *, count: int = 1) -> list[str]:
        """Return the log's matches of *pattern* once there are *count* of them."""
        deadline = time.monotonic() + PATIENCE_S
        while len(found := re.findall(pattern, self.log)) < count:
            assert self.is_running(), f"the balancer ended before it logged {pattern!r}:\n{self.log}"
            assert time.monotonic() < deadline, f"nothing like {pattern!r} in the log:\n{self.log}"
            time.sleep(0.02)
        return [str(one) for one in found]

    def is_running(self) -> bool:
        """Tell whether the supervisor is alive."""
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int:
        """The supervisor's process."""
        assert self.process is not None
        return self.process.pid

    def worker_pids(self) -> list[int]:
        """Return the processes of its workers that live now, by number of the worker."""
        started = re.findall(r" worker_started worker=(\d+) pid=(\d+)", self.log)
        latest = {int(worker): int(pid) for worker, pid in started}
        return [pid for _, pid in sorted(latest.items()) if Path(f"/proc/{pid}").exists()]

    def telnet(self) -> Telnet:
        """Return a session on the admin port; `with balancer.telnet() as telnet: telnet.ask(line)`."""
        return Telnet(self.admin_address, timeout_s=ADMIN_S)

    def admin(self, line: str) -> list[str]:
        """Return the lines of the reply to one command, its `OK`, `.` or `ERROR: …` included."""
        with self.telnet() as telnet:
            return telnet.ask(line)

    def get(self, path: str = "/", *, method: str = "GET", body: bytes | None = None) -> tuple[int, bytes]:
        """Return (status, body) of one request through it."""
        return get(self.site, path, method=method, body=body)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the supervisor alone."""
        os.kill(self.pid, number)

    def wait(self, timeout_s: float = STOP_S) -> int:
        """Return the exit status once it has ended by itself."""
        assert self.process is not None
        return self.process.wait(timeout_s)

    def stop(self) -> int:
        """End it with SIGTERM if it runs (SIGKILL for all of it if it stays) and return the status."""
        assert self.process is not None
        if self.is_running():
            self.signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            for pid in [*self.worker_pids(), self.pid]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return self.process.wait()
