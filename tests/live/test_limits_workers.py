"""Limits of a server with several worker processes are one limit, without any setting."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from tests.live.processes import ROOT, choose_port, eventually
from wsgistack.ratelimit.segment import FOLDER

pytestmark = pytest.mark.live
APPLICATION = "tests.live.limited"


class Server:
    """gunicorn with four workers."""

    def __init__(self, *options: str, application: str) -> None:
        self.port = choose_port()
        command = [sys.executable, "-m", "gunicorn", f"--bind=127.0.0.1:{self.port}", "--workers=4"]
        command += ["--log-level=warning", "--no-control-socket", *options, f"{APPLICATION}:{application}"]
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL)
        eventually(lambda: len(self.workers()) == 4 and self._accepts(), what="gunicorn does not accept")

    def _accepts(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False

    def workers(self) -> list[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(word) for word in children.split()]

    def ask(self) -> tuple[str, str]:
        """Return the status of a request and the process that answered it."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as link:
            link.sendall(b"GET / HTTP/1.0\r\n\r\n")
            answer = b""
            while block := link.recv(65_536):
                answer += block
        head, _, body = answer.decode().partition("\r\n\r\n")
        return head.split()[1], body

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(30)


@pytest.fixture(
    params=[("limited", []), ("limited", ["--preload"]), ("login", [])], ids=["own", "preload", "exact"]
)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server whose application admits 30 requests an hour."""
    application, options = request.param
    made = Server(*options, application=application)
    yield made
    made.end()
    for path in FOLDER.glob(f"wsgistack-limits-{made.process.pid}-*"):
        path.unlink()


def test_workers_share_their_limits_and_a_dead_one_forgives_nobody(server: Server) -> None:
    with ThreadPoolExecutor(8) as visitors:  # at once: one worker may get all that come one after the other
        answers = list(visitors.map(lambda _: server.ask(), range(20)))
    assert {status for status, _ in answers} == {"200"}
    before = server.workers()
    os.kill(before[0], signal.SIGKILL)
    eventually(lambda: len(set(server.workers()) - {before[0]}) == 4, what="no new worker")
    answers += [server.ask() for _ in range(40)]
    assert Counter(status for status, _ in answers) == {"200": 30, "429": 30}
    assert len({process for status, process in answers if status == "200"}) > 1, "several workers answered"
