"""L1: what was read lately and often, kept in this process for a moment; pure.

An entry is kept only if nothing of this process touched its key since before it was asked for,
and counts only for as long as nothing does: whoever reads takes a *promise* before the request
leaves, and every write of a key breaks all promises about it after its answer came.  So what a
delete of this process removed is not served once that delete has returned, however requests and
answers overtake each other.  What other processes write is seen when the entry ends.

Promises are kept by slot: keys share one now and then, and then break each other's.  Nothing is
locked but the accounts; a slot's state is an object that is only compared by identity.
"""

from __future__ import annotations

from _thread import allocate_lock
from collections.abc import Iterable, Mapping
from typing import Any

from wsgistack import forks
from wsgistack.store.keys import WireKey
from wsgistack.store.memcached.replies import Reply

__all__ = ["Near", "Promise"]

SLOTS = 16_384  # a list of 128 kB
MOST_SEEN = 20_000  # keys that were asked for once; about 2 MB
ENTRY_BYTES = 450  # of Python's objects around key and value, as sys.getsizeof adds up
LARGEST_SHARE = 8  # one entry takes at most this part

Promise = tuple[tuple[int, object], ...]  # slots, and their states when it was given


class _Entry:
    __slots__ = ("ends_at", "plain", "promise", "reply", "size", "tags", "was_used")

    def __init__(
        self, reply: Reply, promise: Promise, ends_at: float, size: int, tags: frozenset[str]
    ) -> None:
        self.reply = reply
        self.plain = reply.value if not reply.flags else None
        self.promise = promise
        self.ends_at = ends_at
        self.size = size
        self.tags = tags
        self.was_used = False  # since its turn to leave came last


class Near:
    """Entries of at most *most_bytes* together, each for at most *ttl_s*.  *now* is of one monotonic clock."""

    def __init__(self, most_bytes: int, ttl_s: float) -> None:
        self.hits = 0
        self.misses = 0
        self.ttl_s = ttl_s
        self._most_bytes = most_bytes
        self._bytes = 0
        self._entries: dict[bytes, _Entry] = {}
        self._seen: set[bytes] = set()
        self._seen_until = 0.0
        self._states: list[object] = [None] * SLOTS
        self._lock = allocate_lock()
        forks.register(self)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def size_bytes(self) -> int:
        """What the entries take."""
        return self._bytes

    def recall(self, made: Mapping[Any, WireKey], name: Any, now: float) -> bytes | None:
        """Return the value that is kept of *name*, of which *made* knows the key, if it is bytes without flags.

        The same as `find`, in half the time; what is not found is counted by whoever looks again there.
        """
        wire = made.get(name)
        if wire is None or wire[1] is not None:
            return None
        entry = self._entries.get(wire[0])
        if entry is None or entry.ends_at <= now:
            return None
        states = self._states
        for slot, state in entry.promise:
            if states[slot] is not state:
                return None
        plain = entry.plain
        if plain is not None:
            self.hits += 1
            entry.was_used = True
        return plain

    def find(self, key: bytes, now: float, tags: Iterable[str] = ()) -> Reply | None:
        """Return what is kept of *key*, if it has all of *tags*."""
        entry = self._entries.get(key)
        if entry is None or entry.ends_at <= now:
            self.misses += 1
            return None
        for slot, state in entry.promise:
            if self._states[slot] is not state:
                self.misses += 1
                return None
        if tags and not entry.tags.issuperset(tags):
            return None
        self.hits += 1
        entry.was_used = True
        return entry.reply

    def promise(self, key: bytes, now: float, also: Iterable[bytes] = ()) -> Promise | None:
        """Return the promise to `keep` with; None if *key* is not asked for often.  Before the request leaves.

        *also*: other keys on which the entry rests.
        """
        if key not in self._entries and key not in self._seen:
            if now >= self._seen_until or len(self._seen) >= MOST_SEEN:
                self._seen = set()
                self._seen_until = now + self.ttl_s
            self._seen.add(key)
            return None
        slots = [hash(one) % SLOTS for one in (key.lstrip(b" "), *also)]
        return tuple([(slot, self._states[slot]) for slot in slots])

    def keep(
        self,
        key: bytes,
        promise: Promise | None,
        reply: Reply,
        now: float,
        *,
        left_s: float = -1.0,
        tags: Iterable[str] = (),
    ) -> None:
        """Keep *reply*, that of a hit, under the *promise* that was given before it was asked for.

        *now*: when the promise was given.  *left_s*: what it has left to live; below 0: it does not end.
        """
        if promise is None or not left_s or reply.marks:
            return
        if not reply.value and not reply.flags:  # somebody has the right to make it
            return
        size = len(key) + len(reply.value or b"") + ENTRY_BYTES
        if size * LARGEST_SHARE > self._most_bytes:
            return
        ttl_s = self.ttl_s if left_s < 0 else min(self.ttl_s, left_s)
        entry = _Entry(reply, promise, now + ttl_s, size, frozenset(tags))
        with self._lock:
            self._drop(key)
            self._entries[key] = entry
            self._bytes += size
            while self._bytes > self._most_bytes:
                self._make_room(now)

    def forget(self, keys: Iterable[bytes]) -> None:
        """Break all promises about *keys*: after a write of them, or what may have been one."""
        for key in keys:
            self._states[hash(key) % SLOTS] = object()

    def clear(self) -> None:
        """Break all promises."""
        self._states = [object()] * SLOTS
        with self._lock:
            self._entries = {}
            self._bytes = 0

    def forked(self) -> None:
        """Begin anew: what is under way in the parent keeps no promise here."""
        self._lock = allocate_lock()
        self.clear()

    def _make_room(self, now: float) -> None:
        """Let the oldest go, unless it was used since its last turn (second chance)."""
        key = next(iter(self._entries))
        entry = self._entries[key]
        if entry.was_used and entry.ends_at > now:
            entry.was_used = False
            self._entries[key] = self._entries.pop(key)
        else:
            self._drop(key)

    def _drop(self, key: bytes) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._bytes -= entry.size
