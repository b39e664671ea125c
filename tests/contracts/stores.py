"""The stores under contract: one stage each, a store and the power over its time."""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import PATIENT_URL
from tools.real_memcached import running
from wsgistack.store.base import Store
from wsgistack.store.guarded import Guarded
from wsgistack.store.memory import MemoryStore
from wsgistack.store.shm.store import ShmStore
from wsgistack.store.url import make_store

__all__ = ["STAGES", "Clock", "Stage"]


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True, slots=True)
class Stage:
    """An empty store, another object for the same entries (itself if there is none), and its time."""

    store: Store
    other: Store
    pass_time: Callable[[float], None]


@contextmanager
def memory() -> Iterator[Stage]:
    clock = Clock()
    store = MemoryStore(1024 * 1024, clock=clock)

    def pass_time(seconds: float) -> None:
        clock.now += seconds

    yield Stage(store, store, pass_time)
    store.close()


@contextmanager
def shm() -> Iterator[Stage]:
    with tempfile.TemporaryDirectory() as folder:
        stores = [ShmStore("contract", 1024 * 1024, folder=Path(folder)) for _ in range(2)]

        def pass_time(seconds: float) -> None:
            for store in stores:
                store.arena.skew_ns += int(seconds * 1e9)

        yield Stage(stores[0], stores[1], pass_time)
        assert stores[0].arena.check() == []
        for store in stores:
            store.close()


@contextmanager
def guarded() -> Iterator[Stage]:
    with memory() as stage:
        yield Stage(Guarded(stage.store), Guarded(stage.other), stage.pass_time)


@contextmanager
def memcached() -> Iterator[Stage]:
    with running(2) as servers:
        url = f"memcached://{','.join(server.address for server in servers)}{PATIENT_URL}"
        stores = [make_store(url) for _ in range(2)]
        yield Stage(stores[0], stores[1], time.sleep)  # real servers have their own clocks
        for store in stores:
            store.close()


@contextmanager
def tiered() -> Iterator[Stage]:
    with running(2) as servers:
        places = ",".join(server.address for server in servers)
        store = make_store(f"tiered://{places}{PATIENT_URL}&near_ttl=500ms")
        yield Stage(store, store, time.sleep)  # another process may read what was for near_ttl
        store.close()


# By scheme; whatever wraps a store stands below its own name too.
STAGES = {"memory": memory, "shm": shm, "guarded": guarded, "memcached": memcached, "tiered": tiered}
