"""Real memcached servers for the tests and the benches: found or unpacked, started, stopped.

From PATH, else Debian's package unpacked below .cache/ (see tools/debian.py).
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tools import debian
from tools.leash import die_with_parent

__all__ = ["Memcached", "Program", "find_memcached", "listening", "running"]

PACKAGES = ["memcached", "libevent-2.1-7", "libsasl2-2", "libssl3"]
START_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Program:
    """A memcached that can be started: its path, and where its libraries are ("" for the system's)."""

    path: str
    library_path: str


@dataclass(frozen=True, slots=True)
class Memcached:
    """One running server of its own, empty at first, listening on 127.0.0.1."""

    port: int
    process: subprocess.Popen[bytes]

    @property
    def address(self) -> str:
        """The address in the form `127.0.0.1:11211`."""
        return f"127.0.0.1:{self.port}"

    def ask(self, command: bytes) -> bytes:
        """Send one *command* on a new connection and return the first line of the answer."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(command + b"\r\n")
            with connection.makefile("rb") as answer:
                return answer.readline().rstrip()

    def kill(self) -> None:
        """End the server at once, as a machine that loses its power would."""
        self.process.kill()
        self.process.wait()


def find_memcached(*, cache: Path = debian.CACHE) -> Program:
    """Return the memcached to start; FileNotFoundError with the one command to type if there is none."""
    if path := shutil.which("memcached"):
        return Program(path, "")
    try:
        tree = debian.unpack(PACKAGES, cache=cache)
    except debian.Unavailable as trouble:
        advice = "on Debian: sudo apt-get install memcached"
        raise FileNotFoundError(f"memcached is missing ({trouble}); {advice}") from trouble
    return Program(str(tree / "usr" / "bin" / "memcached"), debian.library_path(tree))


@contextmanager
def running(count: int = 1, *, program: Program | None = None) -> Iterator[list[Memcached]]:
    """Yield *count* servers on ports of their own; they end with the block."""
    program = program or find_memcached()
    servers: list[Memcached] = []
    try:
        for _ in range(count):
            servers.append(_start(program))
        yield servers
    finally:
        for server in servers:
            server.kill()


@contextmanager
def listening(*options: str, is_leashed: bool = False) -> Iterator[Memcached]:
    """Yield one server that is started with *options*; its port is 0 where it listens on a path.

    *is_leashed*: it also ends when this process is killed.
    """
    server = _start(find_memcached(), *options, is_leashed=is_leashed)
    try:
        yield server
    finally:
        server.kill()


def _start(program: Program, *options: str, is_leashed: bool = False) -> Memcached:
    with tempfile.TemporaryDirectory() as folder:
        ports = Path(folder, "ports")
        place = options or ("-l", "127.0.0.1", "-p", "-1")
        command = [program.path, *place, "-U", "0", "-m", "64", "-t", "2"]
        if os.getuid() == 0:
            command += ["-u", "root"]
        environment = os.environ | {"MEMCACHED_PORT_FILENAME": str(ports)}
        if program.library_path:
            environment["LD_LIBRARY_PATH"] = program.library_path
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            preexec_fn=die_with_parent if is_leashed else None,  # noqa: PLW1509 - of benches, without threads
        )
        try:
            if "-s" in options:
                _await_path(Path(options[options.index("-s") + 1]), process)
                return Memcached(0, process)
            return Memcached(_read_port(ports, process), process)
        except BaseException:
            process.kill()
            process.wait()
            raise


def _read_port(ports: Path, process: subprocess.Popen[bytes]) -> int:
    """Return the port that the kernel gave; memcached writes the file, then renames it into place."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(FileNotFoundError):
            for line in ports.read_text().splitlines():
                if line.startswith(("TCP INET:", "TCP INET6:")):
                    return int(line.rpartition(":")[2])
        time.sleep(0.005)
    raise RuntimeError(f"memcached did not start: {process.args!r}, exit status {process.poll()}")


def _await_path(path: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait until a connection to the socket at *path* is accepted."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket(socket.AF_UNIX) as probe, suppress(OSError):
            probe.connect(str(path))
            return
        time.sleep(0.005)
    raise RuntimeError(f"memcached did not start: {process.args!r}, exit status {process.poll()}")
