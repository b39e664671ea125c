"""S3-FIFO: which entry goes when room is needed.  Engine: no lock, no clock.

Two queues, and nothing moves when an entry is read.  A new key enters *small* (a tenth of the
bytes); what is used there before its turn goes on to *main*, all else leaves, and its key is
remembered for a while by its hash alone: who comes back goes to *main* at once.  In *main* an
entry that was used since its last turn gets another.  So a scan passes through *small* and leaves
*main* alone, and a read costs one counter.  Yang et al., "FIFO queues are all you need for cache
eviction", SOSP 2023; docs/performance.md has its hit ratios beside LRU's.

Pinned entries stand in a line of their own, which only what has expired leaves.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable

__all__ = ["GONE", "MOST_USES", "Entry", "Queues"]

SMALL_SHARE = 10  # one in ten bytes; the paper's figure, flat between 5 and 20
MOST_USES = 3  # two bits, as in the paper
LOOKED_AT = 16  # pinned entries per call: a store full of them must not cost a scan each time
LEAST_GHOSTS = 1024
SMALL, MAIN, PINNED, GONE = range(4)


class Entry:
    """A key and its value; *size* is all that they cost, *until* when they end by the store's clock."""

    __slots__ = ("key", "line", "size", "token", "until", "uses", "value")

    def __init__(self, key: str, value: bytes, until: float, size: int, token: int) -> None:
        self.key = key
        self.value = value
        self.until = until
        self.size = size
        self.token = token
        self.uses = 0
        self.line = GONE


class Queues:
    """The entries in the order in which they leave, and how many bytes they are.

    *forget(entry)* is told of each entry that `make_room` lets go.
    """

    def __init__(self, max_bytes: int, forget: Callable[[Entry], None]) -> None:
        self._max_bytes = max_bytes
        self._small_max = max_bytes // SMALL_SHARE
        self._forget = forget
        self.clear()

    def clear(self) -> None:
        """Let everything go, without a word to *forget*."""
        self.bytes = 0
        self._small_bytes = 0
        self._lines: tuple[deque[Entry], ...] = (deque(), deque(), deque())
        self._live = 0
        self._stale = 0  # places in the lines whose entry is gone or stands elsewhere
        self._resize_ghosts(LEAST_GHOSTS)

    def admit(self, entry: Entry, *, pinned: bool) -> None:
        """Take a new entry in."""
        self._live += 1
        self.bytes += entry.size
        self._stand(entry, PINNED if pinned else MAIN if self._is_ghost(entry.key) else SMALL)

    def resize(self, entry: Entry, size: int) -> None:
        """Note that an entry costs *size* now."""
        self.bytes += size - entry.size
        if entry.line == SMALL:
            self._small_bytes += size - entry.size
        entry.size = size

    def pin(self, entry: Entry) -> None:
        """Keep an entry from now on."""
        if entry.line != PINNED:
            self._leave(entry)
            self._stand(entry, PINNED)

    def remove(self, entry: Entry) -> None:
        """Let an entry go that somebody deleted."""
        self._live -= 1
        self.bytes -= entry.size
        self._leave(entry)

    def make_room(self, now: float) -> bool:
        """Let entries go until the bytes fit; return False if what is left is pinned and lives."""
        if self._lines[PINNED]:
            self._drop_expired_pinned(now)
        while self.bytes > self._max_bytes:
            small, main, _ = self._lines
            if small and (self._small_bytes > self._small_max or not main):
                self._turn_small(small.popleft(), now)
            elif main:
                self._turn_main(main.popleft(), now)
            else:
                return False
        return True

    def _turn_small(self, entry: Entry, now: float) -> None:
        if entry.line != SMALL:
            self._stale -= 1
            return
        self._small_bytes -= entry.size
        if entry.until > now and entry.uses:
            entry.uses = 0
            self._stand(entry, MAIN)
            return
        if entry.until > now:
            self._remember(entry.key)
        self._evict(entry)

    def _turn_main(self, entry: Entry, now: float) -> None:
        if entry.line != MAIN:
            self._stale -= 1
        elif entry.until > now and entry.uses:
            entry.uses -= 1
            self._lines[MAIN].append(entry)
        else:
            self._evict(entry)

    def _drop_expired_pinned(self, now: float) -> None:
        line = self._lines[PINNED]
        for _ in range(min(LOOKED_AT, len(line))):
            entry = line.popleft()
            if entry.line != PINNED:
                self._stale -= 1
            elif entry.until > now:
                line.append(entry)
            else:
                self._evict(entry)

    def _evict(self, entry: Entry) -> None:
        self._live -= 1
        self.bytes -= entry.size
        entry.line = GONE
        self._forget(entry)

    def _stand(self, entry: Entry, line: int) -> None:
        entry.line = line
        if line == SMALL:
            self._small_bytes += entry.size
        self._lines[line].append(entry)

    def _leave(self, entry: Entry) -> None:
        """Mark an entry's place in its line as stale; it is skipped there, or swept in time."""
        if entry.line == SMALL:
            self._small_bytes -= entry.size
        entry.line = GONE
        self._stale += 1
        if self._stale > self._live + LEAST_GHOSTS:
            self._sweep()

    def _sweep(self) -> None:
        """Take the stale places out of the lines: O(n), after as many changes."""
        for number, line in enumerate(self._lines):
            kept = [entry for entry in line if entry.line == number]
            line.clear()
            line.extend(kept)
        self._stale = 0

    # Ghosts: hashes of keys that left `small` unused, in a table as large as there are entries; a
    # newer one takes the place of an older one, and one counts for as many evictions as it has places.

    def _resize_ghosts(self, count: int) -> None:
        self._ghosts = array("q", bytes(8 * count))
        self._ghost_ages = array("q", bytes(8 * count))
        self._ghost_mask = count - 1
        self._ghost_clock = 0

    def _remember(self, key: str) -> None:
        if self._live > 2 * self._ghost_mask:
            self._resize_ghosts(4 * (self._ghost_mask + 1))
        code = hash(key)
        place = code & self._ghost_mask
        self._ghost_clock += 1
        self._ghosts[place] = code
        self._ghost_ages[place] = self._ghost_clock

    def _is_ghost(self, key: str) -> bool:
        code = hash(key)
        place = code & self._ghost_mask
        if self._ghosts[place] != code or not self._ghost_ages[place]:
            return False
        age = self._ghost_clock - self._ghost_ages[place]
        self._ghost_ages[place] = 0
        return age <= self._ghost_mask
