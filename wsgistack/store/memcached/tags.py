"""Tags: a version each, in the cache itself; what was made under another version is outdated.

Versions begin at the time in nanoseconds and grow by one with each invalidation, so a tag that the
server forgot never gets a version again that something was stored under.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from wsgistack.errors import ArgumentError
from wsgistack.store.keys import Keys
from wsgistack.store.memcached import requests
from wsgistack.store.memcached.operations import Operations
from wsgistack.store.memcached.replies import Item

__all__ = ["Tags", "read_version"]

MARK = "\0tag:"  # no key of a caller is the same: keys with a NUL are hashed, with all of it
LONGEST_TAG = 65_535


class Tags:
    """The tags of one ring."""

    def __init__(self, do: Operations, keys: Keys) -> None:
        self._do = do
        self._keys = keys

    def wire(self, names: Iterable[str]) -> list[bytes]:
        """Return the keys of the versions of *names*; ArgumentError for what is no name."""
        wires = []
        for name in names:
            if not isinstance(name, str) or len(name.encode("utf-8", "surrogatepass")) > LONGEST_TAG:
                raise ArgumentError(f"tag: {name!r:.80} is not text of at most {LONGEST_TAG} bytes")
            wires.append(self._keys.make(MARK + name).wire)
        return wires

    def begin(self, names: Sequence[str]) -> dict[str, int | None]:
        """Give versions to tags that have none; return them, None where no node answered.  1 RT."""
        return self._count(names, 0)

    def invalidate(self, names: Sequence[str]) -> bool:
        """Make everything under *names* outdated; return whether all nodes know.  1 RT."""
        return None not in self._count(names, 1).values()

    def _count(self, names: Sequence[str], by: int) -> dict[str, int | None]:
        wires = self.wire(names)
        first = time.time_ns()
        replies = self._do.write_many(
            wires, lambda numbers, ttl: requests.count_many([wires[n] for n in numbers], by, first, ttl)
        )
        return {
            name: int(reply.value) if reply is not None and reply.code == b"VA" and reply.value else None
            for name, reply in zip(names, replies, strict=True)
        }


def read_version(item: Item | None) -> int | None:
    """Return the version that an item holds, or None."""
    return int(item.value) if item is not None and item.value.isdigit() and len(item.value) <= 20 else None
