"""Rules in a file that is changed under a server with two workers."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.processes import ROOT, choose_port, eventually
from wsgistack.ratelimit.segment import FOLDER

pytestmark = pytest.mark.live

RULES = """
[[rule]]
name = "kept"
rate = "5/hour"
path = "/kept"

[[rule]]
name = "other"
rate = "{amount}/hour"
path = "/other"
"""


class Server:
    """gunicorn with two workers that serve one connection at a time, and the rules at *path*."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.put(RULES.format(amount=1000))
        port = choose_port()
        self.address = ("127.0.0.1", port)
        command = [sys.executable, "-m", "gunicorn", f"--bind=127.0.0.1:{port}", "--workers=2"]
        command += ["--log-level=warning", "--no-control-socket", "tests.live.ruled:application"]
        environment = {**os.environ, "RULES_OF_A_TEST": str(path)}
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL)
        eventually(self._accepts, what="gunicorn does not accept")

    def _accepts(self) -> bool:
        try:
            socket.create_connection(self.address, timeout=1).close()
        except OSError:
            return False
        return True

    def put(self, text: str) -> None:
        """Put other rules in the place of those that are there."""
        fresh = self.path.with_suffix(".new")
        fresh.write_text(text)
        fresh.rename(self.path)

    def ask(self, path: str) -> list[str]:
        """Return what each worker answers: the first connection keeps its worker from the second."""
        with (
            socket.create_connection(self.address, timeout=30) as first,
            socket.create_connection(self.address, timeout=30) as second,
        ):
            return [_read(link, path) for link in (second, first)]


def _read(link: socket.socket, path: str) -> str:
    link.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
    answer = b""
    while block := link.recv(65_536):
        answer += block
    return answer.decode()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path / "rules.toml")
    yield made
    made.process.terminate()
    made.process.wait(30)
    for path in FOLDER.glob(f"wsgistack-limits-{made.process.pid}-*"):
        path.unlink()


def statuses(answers: list[str]) -> list[str]:
    return sorted(answer.split()[1] for answer in answers)


def test_all_workers_follow_the_file_and_go_on_with_their_counts(server: Server) -> None:
    answers = server.ask("/kept")
    assert statuses(answers) == ["200", "200"]
    assert len({answer.rpartition("\n")[2] for answer in answers}) == 2, "two processes"

    def amounts() -> set[str]:
        return {found for answer in server.ask("/other") for found in re.findall(r'"other";q=(\d+)', answer)}

    assert amounts() == {"1000"}
    server.put(RULES.format(amount=2000))
    eventually(lambda: amounts() == {"2000"}, what="not all workers have the new rules")
    assert statuses(server.ask("/kept")) == ["200", "200"]
    assert statuses(server.ask("/kept")) == ["200", "429"], "five in all"
