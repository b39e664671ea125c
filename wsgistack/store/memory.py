"""`MemoryStore`: entries in this process, bounded by the bytes that they really take.

What Python needs for an entry is counted in (`ENTRY_BYTES`), so that `max_bytes` is memory and not
a guess.  An entry that has expired is nothing at once, and its bytes come back when its key is
stored anew or room is needed: there is no sweeper.

A read takes no lock: a value is one reference, never torn.  Every change holds the lock, never
calls foreign code and never waits while it does, so greenlets need no more care than threads.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from wsgistack import forks
from wsgistack.errors import ArgumentError, Contended, CounterError, StoreFull, TooLarge
from wsgistack.store.base import (
    LARGEST_COUNT,
    MOST_TRIES,
    Change,
    Counted,
    Found,
    Step,
    check_entry,
    check_step,
    check_token,
    check_ttl,
)
from wsgistack.store.queues import GONE, MOST_USES, Entry, Queues

__all__ = ["ENTRY_BYTES", "LEAST_BYTES", "MemoryStore"]

# What an entry takes beside its key and its value: the Entry, its slot in a dict and in a line,
# its float and int, its share of the ghosts; tests/store/test_memory.py measures it.
ENTRY_BYTES = 320
LEAST_BYTES = 64 * 1024
LARGEST_SHARE = 8  # one value takes at most an eighth of the store
MOST_DIGITS = 19


class MemoryStore:
    """A store in this process.  *clock* gives seconds; every method is O(1), amortised."""

    shared = False
    pins = True

    def __init__(self, max_bytes: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        if not isinstance(max_bytes, int) or max_bytes < LEAST_BYTES:
            raise ArgumentError(f"max_bytes: {max_bytes!r} is not a number of bytes from {LEAST_BYTES} up")
        self._max_bytes = max_bytes
        self._largest = max_bytes // LARGEST_SHARE
        self._clock = clock
        self._lock = threading.RLock()  # reentrant: a finalizer may run in the middle of a change
        self._entries: dict[str, Entry] = {}
        self._queues = Queues(max_bytes, self._forget)
        self._tokens = itertools.count(1)
        self._hits = self._misses = self._evictions = 0  # under threads a read may go uncounted
        forks.register(self)

    def get(self, key: str) -> bytes | None:
        entry = self._entries.get(key)
        if entry is None or entry.until <= self._clock():
            self._misses += 1
            return None
        self._hits += 1
        if entry.uses < MOST_USES:
            entry.uses += 1
        return entry.value

    def gets(self, key: str) -> Found | None:
        entry = self._entries.get(key)
        if entry is None or entry.until <= self._clock():
            self._misses += 1
            return None
        self._hits += 1
        if entry.uses < MOST_USES:
            entry.uses += 1
        token = entry.token  # before the value, which a writer changes first: an old token never swaps
        return Found(entry.value, token)

    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        found = {}
        for key in keys:
            value = self.get(key)
            if value is not None:
                found[key] = value
        return found

    def set(self, key: str, value: bytes, ttl_s: float, *, pinned: bool = False) -> None:
        check_entry(key, value, ttl_s)
        now = self._clock()
        with self._lock:
            self._store(key, value, now, now + ttl_s, pinned)

    def set_many(self, items: Mapping[str, bytes], ttl_s: float) -> None:
        for key, value in items.items():
            check_entry(key, value, ttl_s)
        for key, value in items.items():
            self.set(key, value, ttl_s)

    def add(self, key: str, value: bytes, ttl_s: float, *, pinned: bool = False) -> bool:
        check_entry(key, value, ttl_s)
        now = self._clock()
        with self._lock:
            if self._peek(key, now) is not None:
                return False
            self._store(key, value, now, now + ttl_s, pinned)
            return True

    def cas(self, key: str, value: bytes, ttl_s: float, token: int, *, pinned: bool = False) -> bool:
        check_entry(key, value, ttl_s)
        check_token(token)
        now = self._clock()
        with self._lock:
            entry = self._peek(key, now)
            if entry is None or entry.token != token:
                return False
            self._store(key, value, now, now + ttl_s, pinned)
            return True

    def touch(self, key: str, ttl_s: float) -> bool:
        check_ttl(ttl_s)
        now = self._clock()
        with self._lock:
            entry = self._peek(key, now)
            if entry is None:
                return False
            entry.until = now + ttl_s
            return True

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
        return self._step(key, by, ttl_s, first, refresh, pinned).total

    def incr_many(self, steps: Sequence[Step], *, pinned: bool = False) -> list[Counted]:
        return [self._step(*step, pinned) for step in steps]

    def update(self, key: str, change: Change, *, pinned: bool = False) -> bytes | None:
        for _ in range(MOST_TRIES):
            now = self._clock()
            entry = self._entries.get(key)
            if entry is None or entry.until <= now:
                token, old = None, None
            else:
                token, old = entry.token, entry.value
            wanted = change(old)
            if wanted is None:
                return old
            value, ttl_s = wanted
            check_entry(key, value, ttl_s)
            with self._lock:
                entry = self._peek(key, now)
                if token == (None if entry is None else entry.token):
                    entry = self._store(key, value, now, now + ttl_s, pinned)
                    entry.uses = min(entry.uses + 1, MOST_USES)
                    return value
        raise Contended(f"update: {MOST_TRIES} times another writer of {key!r} was quicker")

    def delete(self, key: str) -> bool:
        now = self._clock()
        with self._lock:
            entry = self._entries.pop(key, None)
            if entry is None:
                return False
            self._queues.remove(entry)
            return entry.until > now

    def delete_many(self, keys: Iterable[str]) -> int:
        return sum(self.delete(key) for key in keys)

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()
            self._queues.clear()

    def stats(self) -> dict[str, int]:
        return {
            "items": len(self._entries),
            "bytes": self._queues.bytes,
            "max_bytes": self._max_bytes,
            "hits": self._hits,
            "misses": self._misses,
            "evictions": self._evictions,
        }

    def close(self) -> None:
        self.clear()

    def forked(self) -> None:
        """Begin anew where a thread of the parent was in the middle of a change, and empty."""
        if forks.is_held(self._lock):
            self._entries = {}
            self._queues = Queues(self._max_bytes, self._forget)
        self._lock = threading.RLock()

    # What follows is called with the lock held.

    def _peek(self, key: str, now: float) -> Entry | None:
        entry = self._entries.get(key)
        return None if entry is None or entry.until <= now else entry

    def _step(
        self, key: str, by: int, ttl_s: float, first: int | None, refresh: bool, pinned: bool
    ) -> Counted:
        check_step(key, by, ttl_s, first)
        now = self._clock()
        with self._lock:
            entry = self._entries.get(key)
            if entry is None or entry.until <= now:
                count, until = by if first is None else first, now + ttl_s
            else:
                count = _read_count(key, entry.value) + by
                until = now + ttl_s if refresh else entry.until
            if count < 0:
                count = 0
            elif count > LARGEST_COUNT:
                raise CounterError(f"{key!r}: {count} is above {LARGEST_COUNT}")
            entry = self._store(key, b"%d" % count, now, until, pinned)
            if entry.uses < MOST_USES:
                entry.uses += 1
            return Counted(count, entry.token)

    def _store(self, key: str, value: bytes, now: float, until: float, pinned: bool) -> Entry:
        entry = self._entries.get(key)
        if entry is not None and entry.until <= now:  # its uses and its pin ended with it
            self._drop(entry)
            entry = None
        was_there = entry is not None
        if entry is None:
            size = ENTRY_BYTES + len(value) + key.__sizeof__()
            self._check_size(key, size)
            entry = self._entries[key] = Entry(key, value, until, size, next(self._tokens))
            self._queues.admit(entry, pinned=pinned)
        else:
            size = entry.size - len(entry.value) + len(value)
            if size != entry.size:
                self._check_size(key, size)
                self._queues.resize(entry, size)
            entry.value = value  # the value before the token: see gets
            entry.until = until
            entry.token = next(self._tokens)
            if pinned:
                self._queues.pin(entry)
        if self._queues.bytes <= self._max_bytes:
            return entry
        has_room = self._queues.make_room(now)
        if entry.line != GONE:
            if has_room:
                return entry
            self._drop(entry)
        elif was_there:  # it stood first and grew: let it stand last
            return self._store(key, value, now, until, pinned)
        raise StoreFull(f"{key!r}: {self._max_bytes} bytes are full of pinned entries")

    def _check_size(self, key: str, size: int) -> None:
        if size > self._largest:
            if key in self._entries:
                self._drop(self._entries[key])
            raise TooLarge(f"{key!r}: an entry of {size} bytes; the most is {self._largest}")

    def _drop(self, entry: Entry) -> None:
        del self._entries[entry.key]
        self._queues.remove(entry)

    def _forget(self, entry: Entry) -> None:
        del self._entries[entry.key]
        self._evictions += 1


def _read_count(key: str, value: bytes) -> int:
    if not value.isdigit() or len(value) > MOST_DIGITS:
        raise CounterError(f"{key!r}: {value[:MOST_DIGITS]!r} is not a count")
    return int(value)
