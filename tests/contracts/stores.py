"""The stores under contract: one stage each, a store and the power over its time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from wsgistack.store.base import Store
from wsgistack.store.memory import MemoryStore

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


# By scheme; whatever wraps a store stands below its own name too.
STAGES = {"memory": memory}
