"""Plays a page of the documentation: files are written, commands run, answers compared.

A block whose first line is `# PATH` is a file (`# PATH, at the end`: is added to one).  `sh` blocks are
run, without those lines that install something; the addresses of what they leave in the background
accept before the page goes on.  `console` blocks are run and have to answer what stands there, `…` for
anything.  The machines and ports of the page become free ports of 127.0.0.1.
"""

import os
import random
import re
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from tests.live.processes import choose_port, eventually
from tools.real_memcached import find_memcached

__all__ = ["Player"]

ROOT = Path(__file__).parent.parent.parent
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# ([\w./-]+)(, at the end)?\n")
ADDRESS = re.compile(r"\b(127\.0\.0\.1|10\.0\.0\.1[123])(?::(\d+))?\b")
STORE = re.compile(r"(memcached://[\d.,:]+)(?=\")")
INSTALLS = re.compile(r"pip install|python3 -m venv|venv/bin/activate")
COMMAND_S = 60.0
SERVER_S = 20  # where tests run all at once, a memcached may answer late; a late answer is a miss


class Player:
    """One page, played in *folder*; `stop` ends all that it started."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports: dict[str, int] = {}
        self._name = f"page-{os.getpid()}-{random.randrange(10**9)}"
        self._left: list[subprocess.Popen[bytes]] = []
        self._log = folder / "log"
        tools = folder / "bin"
        tools.mkdir()
        memcached = find_memcached()
        as_root = " -u root" if os.getuid() == 0 else ""
        _write_tool(tools / "curl", f'{sys.executable} {Path(__file__).with_name("curl.py")} "$@"')
        library = f"env LD_LIBRARY_PATH={memcached.library_path} " if memcached.library_path else ""
        _write_tool(tools / "memcached", f'{library}{memcached.path}{as_root} "$@"')
        path = [str(tools), str(Path(sys.executable).parent), os.environ["PATH"]]
        self._environment = os.environ | {"PATH": os.pathsep.join(path)}

    def play(self, page: Path) -> int:
        """Do all that the page says; return how many answers were compared."""
        compared = 0
        for language, block in FENCE.findall(page.read_text()):
            text = self._fill(block)
            if language == "sh":
                self._run_all(text)
            elif language == "console":
                compared += self._compare_all(text)
            elif found := FILE.match(text):
                with (self._folder / found[1]).open("a" if found[2] else "w") as file:
                    file.write(text)
        return compared

    def stop(self) -> None:
        """End every process that the page started, and remove the memory that it shared."""
        for process in self._left:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        Path("/dev/shm", f"wsgistack-{self._name}").unlink(missing_ok=True)

    def _fill(self, text: str) -> str:
        text = STORE.sub(
            rf"\1?timeout={SERVER_S}s&least_timeout={SERVER_S}s&connect_timeout={SERVER_S}s", text
        )
        return ADDRESS.sub(self._place, text.replace("shm:///mysite", f"shm:///{self._name}"))

    def _place(self, found: re.Match[str]) -> str:
        if found[2] is None:
            return "127.0.0.1"
        if found[0] not in self._ports:
            self._ports[found[0]] = choose_port()
        return f"127.0.0.1:{self._ports[found[0]]}"

    def _run_all(self, block: str) -> None:
        for line in filter(str.strip, block.splitlines()):
            command = line.partition(" #")[0].strip()
            if INSTALLS.search(command):
                continue
            if command.startswith("cd "):
                self._folder /= command.removeprefix("cd ")
            elif command.endswith("&"):
                self._leave(command.rstrip("& "))
            else:
                self._run(command)

    def _leave(self, command: str) -> None:
        """Start what runs in the background, and wait until all its addresses accept."""
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                ["bash", "-c", f"exec {command}"],
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._left.append(process)
        text = command
        for word in re.findall(r"\S+\.conf\b", command):
            lines = (self._folder / word).read_text().splitlines()
            text += "".join(line for line in lines if "listen" in line)
        for _, port in ADDRESS.findall(text):
            eventually(lambda port=int(port): _accepts(port), within_s=COMMAND_S, what=self._say(command))  # type: ignore[misc]  # mypy infers no lambda's default

    def _say(self, command: str) -> str:
        return f"{command}: does not accept\n{self._log.read_text(errors='replace')}"

    def _run(self, command: str) -> str:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout

    def _compare_all(self, block: str) -> int:
        commands = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)
        for command, expected in commands:
            pattern = re.escape(expected).replace("…", ".*")
            got = self._run(command)
            assert re.fullmatch(pattern, got), f"{command}\nexpected:\n{expected}got:\n{got}"
        return len(commands)


def _accepts(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _write_tool(path: Path, command: str) -> None:
    path.write_text(f"#!/bin/sh\nexec {command}\n")
    path.chmod(0o755)
