"""Limits over several processes are exact, in shared memory and in memcached."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.conftest import PATIENT_URL
from tests.ratelimit.crowd import Crowd
from tools.real_memcached import running
from wsgistack.store.shm.store import FOLDER

PROCESSES = 4
HITS = 60


@contextmanager
def shm() -> Iterator[str]:
    """A shared memory of its own, which is gone afterwards."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    yield f"shm:///{name}?size=4m"
    (FOLDER / f"wsgistack-{name}").unlink()


@contextmanager
def memcached() -> Iterator[str]:
    """Two servers of its own."""
    with running(2) as servers:
        yield f"memcached://{','.join(one.address for one in servers)}{PATIENT_URL}"


@contextmanager
def workers() -> Iterator[str]:
    """What the children of this process share."""
    yield f"workers:{uuid.uuid4().hex}"
    for path in FOLDER.glob(f"wsgistack-limits-{os.getpid()}-*"):
        path.unlink()


@pytest.fixture(params=[shm, workers, memcached], ids=lambda place: str(place.__name__))
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a store that nobody else uses."""
    with request.param() as url:
        yield url


@pytest.fixture(scope="module")
def crowd() -> Iterator[Crowd]:
    with Crowd("tests.ratelimit.contender", PROCESSES) as crowd:
        yield crowd


@pytest.mark.live
@pytest.mark.parametrize(
    "rate",
    [
        "50/hour",
        "50/50s",  # while the race takes less: a store forgets by its own clock
        "50/hour; 100000/hour",
        "50/hour fixed",
        "50/hour sliding",
        "50/hour exact",
        "50/calendar day",
        "50 concurrent",
    ],
)
def test_processes_never_admit_too_many_nor_too_few(url: str, rate: str, crowd: Crowd) -> None:
    admitted = crowd.race((url, rate, HITS) for _ in range(PROCESSES))
    assert sum(admitted) == 50, admitted
