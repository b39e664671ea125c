"""Limits over several processes of one machine are exact."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator

import pytest

from tests.house.source import ROOT
from wsgistack.store.shm.store import FOLDER

PROCESSES = 4
HITS = 60


@pytest.fixture
def url() -> Iterator[str]:
    """A shared memory of its own, which is gone afterwards."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    url = f"shm:///{name}?size=4m"
    yield url
    (FOLDER / f"wsgistack-{name}").unlink()


def start(url: str, rate: str) -> subprocess.Popen[str]:
    program = [sys.executable, "-m", "tests.ratelimit.contender", url, rate, str(HITS)]
    return subprocess.Popen(program, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.mark.live
@pytest.mark.parametrize(
    "rate",
    [
        "50/hour",
        "50/hour; 100000/hour",
        "50/hour fixed",
        "50/hour sliding",
        "50/hour exact",
        "50/calendar day",
        "50 concurrent",
    ],
)
def test_processes_never_admit_too_many_nor_too_few(url: str, rate: str) -> None:
    contenders = [start(url, rate) for _ in range(PROCESSES)]
    try:
        for one in contenders:
            assert one.stdout is not None and one.stdin is not None
            assert one.stdout.readline() == "ready\n"
        for one in contenders:
            assert one.stdin is not None
            one.stdin.write("go\n")
            one.stdin.flush()
        admitted = [int(one.stdout.readline()) for one in contenders if one.stdout is not None]
    finally:
        for one in contenders:
            one.kill()
            one.communicate()
    assert sum(admitted) == 50, admitted
