"""`memory://?max_bytes=64m`: this process alone."""

from __future__ import annotations

from collections.abc import Mapping

from wsgistack.errors import ConfigurationError
from wsgistack.settings import SIZE, Setting, Table, Value
from wsgistack.store.base import Store
from wsgistack.store.memory import LEAST_BYTES, MemoryStore

__all__ = ["EXAMPLE", "HELP", "NAME", "OPTIONS", "check", "make"]

NAME = "memory"
HELP = "the memory of this process, bounded; what several processes count stays apart"
EXAMPLE = "memory://?max_bytes=64m"
OPTIONS = Table(
    "memory store",
    [
        Setting(
            "max_bytes",
            SIZE,
            64 * 1024 * 1024,
            "memory it may take, what Python needs for each entry included",
            least=LEAST_BYTES,
        )
    ],
)


def check(place: str, options: Mapping[str, Value]) -> None:
    """Refuse a place: there is one memory."""
    if place:
        raise ConfigurationError(f"memory:// has no place: '{place}' stands before the options of {EXAMPLE}")


def make(place: str, options: Mapping[str, Value]) -> Store:
    """Return an empty store."""
    max_bytes = options["max_bytes"]
    assert isinstance(max_bytes, int)
    return MemoryStore(max_bytes)
