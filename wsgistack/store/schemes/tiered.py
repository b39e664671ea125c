"""`tiered://10.0.0.1,10.0.0.2:11212?near=64m`: the memory of this process over a ring of memcached."""

from __future__ import annotations

from collections.abc import Mapping

from wsgistack.errors import ConfigurationError
from wsgistack.settings import DURATION, SIZE, Setting, Table, Value
from wsgistack.store.base import Store
from wsgistack.store.memory import LEAST_BYTES, MemoryStore
from wsgistack.store.schemes import memcached
from wsgistack.store.tiered import Tiered

__all__ = ["EXAMPLE", "HELP", "NAME", "OPTIONS", "check", "make"]

NAME = "tiered"
HELP = "the memory of each process over memcached servers: what is read often costs no round trip"
EXAMPLE = "tiered://10.0.0.1,10.0.0.2:11212?near=64m"
OPTIONS = Table(
    "tiered store",
    [
        Setting("near", SIZE, 64 * 1024 * 1024, "memory that each process may take", least=LEAST_BYTES),
        Setting(
            "near_ttl",
            DURATION,
            1.0,
            "how long a process may read what another one has changed or removed meanwhile",
            least=0.001,
            most=3600,
        ),
        *memcached.OPTIONS,
    ],
)


def check(place: str, options: Mapping[str, Value]) -> None:
    """Refuse what are no servers, or no prefix."""
    if not place:
        raise ConfigurationError(f"tiered:// has no servers: expected {EXAMPLE}")
    memcached.check(place, options)


def make(place: str, options: Mapping[str, Value]) -> Store:
    """Return a memory of this process over the servers of *place*; nothing is connected yet."""
    near, near_ttl = options["near"], options["near_ttl"]
    assert isinstance(near, int)
    assert isinstance(near_ttl, int | float)
    return Tiered(MemoryStore(near), memcached.make(place, options), near_s=float(near_ttl))
