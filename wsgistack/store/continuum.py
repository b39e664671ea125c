"""Points on a circle of 2**32, each owned by a node: where a key's hash falls decides its owner.

`continuum_cy` is the compiled twin; `circle` takes it where it is there.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

from wsgistack.store.hashes import HASHES

__all__ = ["Continuum"]


class Continuum:
    """An immutable circle.  A key belongs to the first point at or after its hash, round the end.

    *points*: (owner's number, its points), at least one point; of equal points the first one given
    counts, the last one if *last_wins*.  *strictly_after*: a key whose hash is a point belongs to
    the next point.  *hash_name*: one of `hashes.HASHES`.
    """

    __slots__ = ("_find", "_hash", "_owners", "_points")

    def __init__(
        self,
        points: Iterable[tuple[int, Sequence[int]]],
        hash_name: str,
        *,
        strictly_after: bool = False,
        last_wins: bool = False,
    ) -> None:
        owners: dict[int, int] = {}
        for owner, some in points:
            for point in some:
                if last_wins or point not in owners:
                    owners[point] = owner
        self._points = sorted(owners)
        self._owners = [owners[point] for point in self._points]
        self._hash = HASHES[hash_name]
        self._find = bisect_right if strictly_after else bisect_left

    def __len__(self) -> int:
        return len(self._points)

    def place(self, key: bytes) -> int:
        """Return the owner's number.  O(log points)."""
        found = self._find(self._points, self._hash(key))
        return self._owners[found if found < len(self._owners) else 0]

    def places(self, key: bytes, most: int) -> list[int]:
        """Return the first *most* distinct owners from the key's point on."""
        start = self._find(self._points, self._hash(key))
        found: dict[int, None] = {}
        for step in range(len(self._owners)):
            if len(found) >= most:
                break
            found[self._owners[(start + step) % len(self._owners)]] = None
        return list(found)

    def place_many(self, keys: Iterable[bytes]) -> list[int]:
        """Return `place` of each key."""
        return [self.place(key) for key in keys]
