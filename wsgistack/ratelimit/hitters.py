"""Heavy hitters: which keys come most often among more keys than one wants to remember.

Space-Saving: a new key takes the place of the one that was seen least, and its count as a possible
error.  With k places, each key that is more than 1/k of all is among them, and no count is too low.
Metwally, Agrawal, El Abbadi, "Efficient Computation of Frequent and Top-k Elements in Data
Streams" (ICDT 2005).
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, NamedTuple, TypeVar

__all__ = ["Hitter", "Hitters"]

K = TypeVar("K", bound=Hashable)


class Hitter(NamedTuple, Generic[K]):
    """A key that was seen at most *seen* and at least *seen* - *error* times."""

    key: K
    seen: int
    error: int


class Hitters(Generic[K]):
    """The heaviest of all keys that were added, in *places*.  An addition is O(1)."""

    def __init__(self, places: int = 1000) -> None:
        self._places = places
        self._counts: dict[K, list[int]] = {}  # key: [count, error]
        self._by_count: dict[int, dict[K, None]] = {}  # in each, the oldest first
        self._least = 0

    def add(self, key: K) -> None:
        """See *key* once more."""
        found = self._counts.get(key)
        if found is not None:
            self._move(key, found[0], found[0] + 1)
            found[0] += 1
            return
        error = 0
        if len(self._counts) >= self._places:
            error = self._least
            oldest = next(iter(self._by_count[error]))
            del self._counts[oldest]
            self._drop(oldest, error)
        self._counts[key] = [error + 1, error]
        self._by_count.setdefault(error + 1, {})[key] = None
        if error == 0:
            self._least = 1
        elif error not in self._by_count:
            self._least = error + 1

    def top(self, count: int) -> list[Hitter[K]]:
        """Return the *count* heaviest, the heaviest first."""
        heaviest = sorted(self._counts.items(), key=lambda item: -item[1][0])[:count]
        return [Hitter(key, total, error) for key, (total, error) in heaviest]

    def _move(self, key: K, old: int, new: int) -> None:
        self._by_count.setdefault(new, {})[key] = None
        self._drop(key, old)
        if old == self._least and old not in self._by_count:
            self._least = new  # its own count is the next one

    def _drop(self, key: K, count: int) -> None:
        keys = self._by_count[count]
        del keys[key]
        if not keys:
            del self._by_count[count]
