"""`Tiered`: the memory of this process over a store that many share.

Reads find what this process read or wrote within the last *near_s*; everything else, and every
change, is the far store's.  So a value that another process changed or removed may be read here for
*near_s* longer, never more; what is atomic is so over all processes, and `gets` always asks the far
store.  Nothing is kept of what is not there.

What this process itself replaced or removed is not read here once the call has returned, by nobody:
a value is kept only if nothing changed its key since before it was asked for, as the *mark* of the
key's slot tells.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import TypeVar

from wsgistack import forks
from wsgistack.errors import ConfigurationError, StoreError
from wsgistack.store.base import Change, Claim, Counted, Found, Step, Store, claim, is_bounded

__all__ = ["Tiered"]

Answer = TypeVar("Answer")
SLOTS = 4096  # keys that share one now and then spoil a copy of each other's


class Tiered:
    """*near* over *far*; see `wsgistack.store.base.Store`.  *near_s*: for how long a near copy is believed."""

    def __init__(self, near: Store, far: Store, *, near_s: float) -> None:
        if near.shared:
            raise ConfigurationError("tiered: the near store is one of this process alone, such as memory://")
        if isinstance(near_s, bool) or not isinstance(near_s, int | float) or not 0 < near_s < math.inf:
            raise ConfigurationError(f"tiered: near_s: {near_s!r} is not a number of seconds above 0")
        self.near = near
        self.far = far
        self._near_s = near_s
        self._hits = self._misses = 0
        self._marks: list[object] = [None] * SLOTS  # another one after each change; compared by identity
        self._lock = threading.RLock()  # reentrant: a finalizer may run in the middle of a step
        forks.register(self)

    @property
    def shared(self) -> bool:
        return self.far.shared

    @property
    def pins(self) -> bool:
        return self.far.pins

    def get(self, key: str) -> bytes | None:
        value = self.near.get(key)
        if value is None:
            mark = self._mark(key)
            value = self.far.get(key)
            if value is None:
                self._misses += 1
                return None
            self._keep(key, value, self._near_s, mark)
        self._hits += 1
        return value

    def gets(self, key: str) -> Found | None:
        mark = self._mark(key)
        found = self.far.gets(key)
        if found is None:
            self._misses += 1
            self.near.delete(key)
        else:
            self._hits += 1
            self._keep(key, found.value, self._near_s, mark)
        return found

    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        wanted = list(dict.fromkeys(keys))
        found = self.near.get_many(wanted)
        missing = [key for key in wanted if key not in found]
        if missing:
            marks = {key: self._mark(key) for key in missing}
            fetched = self.far.get_many(missing)
            for key, value in fetched.items():
                self._keep(key, value, self._near_s, marks[key])
            found.update(fetched)
        self._hits += len(found)
        self._misses += len(wanted) - len(found)
        return found

    def set(self, key: str, value: bytes, ttl_s: float, *, pinned: bool = False) -> None:
        self._store(key, value, ttl_s, lambda: self.far.set(key, value, ttl_s, pinned=pinned))

    def set_many(self, items: Mapping[str, bytes], ttl_s: float) -> None:
        try:
            self.far.set_many(items, ttl_s)
        finally:
            self._all_changed(items)

    def add(self, key: str, value: bytes, ttl_s: float, *, pinned: bool = False) -> bool:
        return self._change(key, lambda: self.far.add(key, value, ttl_s, pinned=pinned))

    def claim(self, key: str, value: bytes, ttl_s: float) -> Claim:
        return self._change(key, lambda: claim(self.far, key, value, ttl_s))

    def cas(self, key: str, value: bytes, ttl_s: float, token: int, *, pinned: bool = False) -> bool:
        return self._store(key, value, ttl_s, lambda: self.far.cas(key, value, ttl_s, token, pinned=pinned))

    def touch(self, key: str, ttl_s: float) -> bool:
        return self._change(key, lambda: self.far.touch(key, ttl_s))

    def incr(
        self,
        key: str,
        by: int,
        ttl_s: float,
        *,
        first: int | None = None,
        refresh: bool = False,
        pinned: bool = False,
    ) -> int:
        return self._change(
            key, lambda: self.far.incr(key, by, ttl_s, first=first, refresh=refresh, pinned=pinned)
        )

    def incr_many(self, steps: Sequence[Step], *, pinned: bool = False) -> list[Counted]:
        try:
            return self.far.incr_many(steps, pinned=pinned)
        finally:
            self._all_changed(step.key for step in steps)

    def update(self, key: str, change: Change, *, pinned: bool = False) -> bytes | None:
        return self._change(key, lambda: self.far.update(key, change, pinned=pinned))

    def delete(self, key: str) -> bool:
        return self._change(key, lambda: self.far.delete(key))

    def delete_many(self, keys: Iterable[str]) -> int:
        wanted = list(keys)
        try:
            return self.far.delete_many(wanted)
        finally:
            self._all_changed(wanted)

    def clear(self) -> None:
        try:
            self.far.clear()
        finally:
            with self._lock:
                self._marks = [object() for _ in range(SLOTS)]
                self.near.clear()

    def stats(self) -> dict[str, int]:
        """Return the far store's, with the reads of this object over both, and `near_` of the near one."""
        near = {f"near_{name}": number for name, number in self.near.stats().items()}
        return {**self.far.stats(), "hits": self._hits, "misses": self._misses, **near}

    def within(self, seconds: float) -> AbstractContextManager[object]:
        """Return a block in which calls of the far store end after *seconds*, if it can; see Bounded."""
        return self.far.within(seconds) if is_bounded(self.far) else nullcontext()

    def close(self) -> None:
        self.near.close()
        self.far.close()

    def _store(self, key: str, value: bytes, ttl_s: float, store: Callable[[], bool | None]) -> bool:
        """Let the far store take *value*, and keep it here if it did."""
        mark = self._mark(key)
        try:
            is_stored = store() is not False
        finally:
            is_last = self._mark(key) is mark  # else somebody stored another value meanwhile
            mark = self._changed(key)
        if is_stored and is_last:
            self._keep(key, value, min(ttl_s, self._near_s), mark)
        return is_stored

    def _change(self, key: str, change: Callable[[], Answer]) -> Answer:
        """Let the far store change something, and forget the near copy whatever came of it."""
        try:
            return change()
        finally:
            self._changed(key)

    def _mark(self, key: str) -> object:
        """Return the mark of *key* as it is now."""
        return self._marks[hash(key) % SLOTS]

    def _changed(self, key: str) -> object:
        """Forget the near copy of *key*, also one that is on its way; return the new mark."""
        with self._lock:
            mark = self._marks[hash(key) % SLOTS] = object()
            self.near.delete(key)
        return mark

    def _all_changed(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._changed(key)

    def _keep(self, key: str, value: bytes, ttl_s: float, mark: object) -> None:
        """Keep *value* here, unless *key* was changed since it had this *mark*."""
        with self._lock, suppress(StoreError):  # too large for it: the far store has it all the same
            if self._mark(key) is mark:
                self.near.set(key, value, ttl_s)

    def forked(self) -> None:
        """Make the lock anew; what it guards is whole after each step."""
        self._lock = threading.RLock()
