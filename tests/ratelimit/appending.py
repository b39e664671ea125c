"""A store that can append, in this process: what memcached does with the same commands."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from wsgistack.errors import StoreError
from wsgistack.store.base import Addition, Found
from wsgistack.store.memory import MemoryStore

__all__ = ["Appender"]


class Appender(MemoryStore):
    """Each append is atomic, and so is each read behind it; others may come in between, as to a server that
    serves several connections.  *trips* counts them.

    While *down*, it raises; while *silent*, it does what it is told and raises.  *between* runs between
    the append and the read of the next one, as another process might.
    """

    def __init__(self) -> None:
        super().__init__(16 * 1024 * 1024)
        self.trips = 0
        self.down = False
        self.silent = False
        self.between: Callable[[], Any] | None = None
        self.lives: dict[str, float] = {}
        self._one = threading.Lock()

    def append_many(self, additions: Sequence[Addition]) -> list[Found]:
        """Append; see `Appending`."""
        self.trips += 1
        if self.down:
            raise StoreError("down")
        for addition in additions:
            with self._one:
                self._append(addition)
        if self.silent:
            raise StoreError("silent")
        between, self.between = self.between, None
        if between is not None:
            between()
        return [self.gets(one.key) or Found(b"", 0) for one in additions]

    def _append(self, addition: Addition) -> None:
        key, record, ttl_s, instead = addition
        if instead is not None:
            self.cas(key, instead[1], ttl_s, instead[0])
        self.add(key, b"", ttl_s)
        found = self.gets(key)
        assert found is not None
        self.cas(key, found.value + record, ttl_s, found.token)
        self.lives[key] = ttl_s
