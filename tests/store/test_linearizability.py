"""Linearizability of incr and cas: what threads and processes saw of a store can be put into one order.

WSGISTACK_LONG sets the number of histories of each store; each has a seed of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import PATIENT_URL
from tests.house.source import ROOT
from tests.store.asking import ask
from tests.store.linear import Seen, find_order
from tools.real_memcached import running
from wsgistack.store.memory import MemoryStore
from wsgistack.store.shm.store import FOLDER

HISTORIES = int(os.environ.get("WSGISTACK_LONG", "3"))
ASKERS = 3
OPERATIONS = 120

Told = dict[str, list[Seen]]


def check(seed: int, told: Sequence[Told], *, tokens_may_lag: bool = False) -> None:
    """Check what each asker told, key by key."""
    for key in told[0]:
        history = [one for part in told for one in part[key]]
        assert find_order(history, tokens_may_lag=tokens_may_lag) is not None, (seed, key, history)
    done = [(one.verb, one.got) for part in told for seen in part.values() for one in seen]
    assert ("cas", 1) in done, f"seed {seed}: nothing was swapped"
    assert ("cas", 0) in done, f"seed {seed}: no swap was refused"


@contextmanager
def shm() -> Iterator[str]:
    name = f"linear-{uuid.uuid4()}"
    try:
        yield f"shm:///{name}?size=1m"
    finally:
        Path(FOLDER, f"wsgistack-{name}").unlink()


@contextmanager
def memcached() -> Iterator[str]:
    with running(2) as servers:
        places = ",".join(server.address for server in servers)
        yield f"memcached://{places}{PATIENT_URL}"


@pytest.fixture(scope="module")
def askers() -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that do what lines order."""
    command = [sys.executable, "-m", "tests.store.asking"]
    started = [
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(ASKERS)
    ]
    yield started
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.live
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("place", [shm, memcached])
def test_processes_saw_one_order(
    place: Callable[[], AbstractContextManager[str]], askers: list[subprocess.Popen[str]]
) -> None:
    with place() as url:
        for seed in range(HISTORIES):
            for who, process in enumerate(askers):
                assert process.stdin is not None
                process.stdin.write(json.dumps([url, seed, who, ASKERS, OPERATIONS]) + "\n")
                process.stdin.flush()
            lines = [process.stdout.readline() for process in askers if process.stdout is not None]
            told = [json.loads(line) for line in lines]
            check(seed, [{key: [Seen(*one) for one in seen] for key, seen in part.items()} for part in told])


@pytest.mark.timeout(3600)
def test_threads_saw_one_order_in_memory(request: pytest.FixtureRequest) -> None:
    request.addfinalizer(partial(sys.setswitchinterval, sys.getswitchinterval()))
    sys.setswitchinterval(1e-6)
    store = MemoryStore(1024 * 1024)
    for seed in range(HISTORIES):
        told: list[Told] = []
        threads = [threading.Thread(target=_tell, args=(told, store, seed, who)) for who in range(ASKERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        check(seed, told, tokens_may_lag=True)  # MemoryStore.gets takes no lock
    store.close()


def _tell(told: list[Told], store: MemoryStore, seed: int, who: int) -> None:
    told.append(ask(store, seed, who, ASKERS, OPERATIONS))
