"""Forks that servers do not expect: of a master in which a thread runs, and in the middle of a request."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.conftest import PATIENT_URL
from tests.servers.plain import LIMIT
from tests.servers.serving import GUNICORN, Served, Server
from tools.real_memcached import Memcached

pytestmark = [pytest.mark.live, pytest.mark.slow]

ROUNDS = 4
ASKS = 20


@pytest.fixture(params=["shared memory", "memcached"])
def served(request: pytest.FixtureRequest, memcached: Memcached) -> Iterator[Served]:
    """A master with a thread that asks, before and after it forked two workers of four threads."""
    store = f"memcached://{memcached.address}{PATIENT_URL}" if request.param == "memcached" else ""
    command = [*GUNICORN, "--worker-class=gthread", "--threads=4", "--preload"]
    made = Served(Server(command, 2, store=store), "tests.servers.forking:application", "/page")
    yield made
    made.end()


def test_workers_fork_in_the_middle_of_requests_and_hold_one_limit(served: Served) -> None:
    for number in range(ROUNDS):
        client = f"10.3.0.{number + 1}"

        def fork(client: str) -> object:
            return json.loads(served.ask("/fork", X_Forwarded_For=client, X_Asks=str(ASKS)).body)

        with ThreadPoolExecutor(4) as threads:
            forked = [threads.submit(fork, client) for _ in range(3)]
            asked = [threads.submit(served.ask, "/limited", X_Forwarded_For=client) for _ in range(ASKS)]
            ours = [one.result().status for one in asked]
            theirs = [one.result() for one in forked]
        assert all(isinstance(statuses, list) for statuses in theirs), theirs
        statuses = ours + [status for one in theirs for status in one]  # type: ignore[attr-defined]
        assert sorted(statuses) == [200] * LIMIT + [429] * (4 * ASKS - LIMIT)
