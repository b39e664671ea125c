"""`shm:///name?size=64m`: all processes of this machine; without a name the forks of this process."""

from __future__ import annotations

from collections.abc import Mapping

from wsgistack.errors import ConfigurationError
from wsgistack.settings import DURATION, SIZE, Setting, Table, Value
from wsgistack.store.base import Store

__all__ = ["EXAMPLE", "HELP", "NAME", "OPTIONS", "check", "make"]

NAME = "shm"
HELP = "shared memory: all processes of this machine see the same entries, and counts are exact"
EXAMPLE = "shm:///name?size=64m"
OPTIONS = Table(
    "shared memory store",
    [
        Setting("size", SIZE, 64 * 1024 * 1024, "memory it takes, all of it at once", least=1024 * 1024),
        Setting("wait", DURATION, 0.25, "how long a call waits behind a process that was stopped", most=60),
    ],
)


def check(place: str, options: Mapping[str, Value]) -> None:
    """Refuse a host, and a name that is none."""
    from wsgistack.store.shm.store import check_name

    if place and not place.startswith("/"):
        raise ConfigurationError(f"shm:// has no host: expected {EXAMPLE}, met '{place}' behind shm://")
    if name := place.removeprefix("/"):
        check_name(name)


def make(place: str, options: Mapping[str, Value]) -> Store:
    """Return the store of that name, made now if there is none."""
    from wsgistack.store.shm.store import ShmStore

    size, wait_s = options["size"], options["wait"]
    assert isinstance(size, int)
    assert isinstance(wait_s, float | int)
    return ShmStore(place.removeprefix("/") or None, size, wait_s=float(wait_s))
