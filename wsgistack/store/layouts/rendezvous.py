"""Highest random weight: each node draws a lot for the key, the highest owns it.

O(nodes) a key, in exchange exact weights and an order of successors of its own for every key.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b

from wsgistack.store.layouts import Member

__all__ = ["HELP", "NAME", "Rendezvous", "build"]

NAME = "rendezvous"
HELP = "highest random weight: exact weights, for a handful of nodes"
LOTS = float(2**64)


def build(members: Sequence[Member], pause: Callable[[], None]) -> Rendezvous:
    """Return the placing; there is nothing to prepare."""
    return Rendezvous(members)


class Rendezvous:
    """Lots are BLAKE2b of the key, keyed with the node's address; weight w draws like w lots do."""

    __slots__ = ("_nodes",)

    def __init__(self, members: Sequence[Member]) -> None:
        # A long address (a Unix socket) is more than BLAKE2b takes as its key.
        self._nodes = [
            (blake2b(member.address.encode(), digest_size=16).digest(), member.weight) for member in members
        ]

    def place(self, key: bytes) -> int:
        """Return the owner's number.  O(nodes)."""
        scores = self._scores(key)
        return scores.index(max(scores))

    def places(self, key: bytes, most: int) -> list[int]:
        """Return the *most* highest ones."""
        scores = self._scores(key)
        return sorted(range(len(scores)), key=scores.__getitem__, reverse=True)[:most]

    def place_many(self, keys: Iterable[bytes]) -> list[int]:
        """Return `place` of each key."""
        return [self.place(key) for key in keys]

    def _scores(self, key: bytes) -> list[float]:
        # -w / ln(lot): the greatest of w lots, without drawing them.
        return [
            -weight / math.log((int.from_bytes(blake2b(key, key=salt, digest_size=8).digest()) + 0.5) / LOTS)
            for salt, weight in self._nodes
        ]
