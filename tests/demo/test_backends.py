"""The demo's backends say who they are, and its visitors count answers and failures truly."""

import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from demo.processes import ROOT, Backend, Trouble, choose_ports, stop_all
from demo.visitors import Load, ask

pytestmark = pytest.mark.live


@pytest.fixture
def backends() -> Iterator[list[Backend]]:
    """The three backends of the demo, serving."""
    names = {"Django": "django_site", "Flask": "flask_site", "bare callable": "bare"}
    ports = choose_ports([0, 0, 0])
    started = [Backend(name, site, port) for (name, site), port in zip(names.items(), ports, strict=True)]
    try:
        for backend in started:
            backend.start()
        for backend in started:
            backend.wait()
        yield started
    finally:
        stop_all([*started])


def test_each_backend_answers_with_its_name_and_process(backends: list[Backend]) -> None:
    answers = [ask(backend.address, "GET", "/").who for backend in backends]
    assert answers == [f"{backend.name}, process {backend.pid}" for backend in backends]


def test_load_counts_answers_and_then_failures(backends: list[Backend]) -> None:
    backend = backends[2]
    name = f"bare callable, process {backend.pid}"
    with Load(backend.address, visitors=2) as load:
        assert load.reaches(name, within_s=10)
        assert load.failures == []
        backend.kill()
    assert not backend.is_running()
    assert load.answers.keys() == {name}


def test_a_dead_backend_fails_its_visitors(backends: list[Backend]) -> None:
    backends[0].kill()
    with Load(backends[0].address, visitors=1) as load:
        deadline = time.monotonic() + 20
        while not load.failures and time.monotonic() < deadline:
            assert not load.reaches("Django", within_s=0.2)
    stamp, _, told = load.failures[0].partition(" ")
    assert datetime.fromisoformat(stamp).utcoffset() == timedelta(0)
    assert re.fullmatch(r"after [0-9.]+ s on (a new|an open) connection: (\w+): .*", told)


def test_a_backend_that_does_not_start_is_trouble() -> None:
    backend = Backend("nobody", "no_such_site", choose_ports([0])[0])
    backend.start()
    with pytest.raises(Trouble, match=r"nobody at .* does not answer"):
        backend.wait()


def test_a_taken_port_is_replaced_by_a_free_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        chosen, other = choose_ports([port, 0])
    assert port not in (chosen, other) and chosen != other
    assert choose_ports([chosen]) == [chosen]


PARENT = """
import sys
from demo.processes import Backend
backend = Backend("bare callable", "bare", int(sys.argv[1]))
backend.start()
backend.wait()
print(backend.pid, flush=True)
sys.stdin.read()
"""


def test_a_backend_ends_with_a_demo_that_is_killed() -> None:
    (port,) = choose_ports([0])
    command = [sys.executable, "-c", PARENT, str(port)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert int(parent.stdout.readline()) > 0
        parent.kill()
    deadline = time.monotonic() + 20
    with pytest.raises(ConnectionRefusedError):
        while time.monotonic() < deadline:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            time.sleep(0.02)
