"""The dirty journal: which keys of a node must not be believed when it comes back; pure.

A write or a removal that could not reach its node, or whose answer never came, makes the key
dirty: the node may hold what was replaced meanwhile.  Dirty keys are removed from the node before
it is used again.  While it is away its keys may live on other nodes; those copies are noted too,
and removed with the return, so that the next outage does not find what is old by then.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import NamedTuple

__all__ = ["Journal", "Load"]

MOST_KEYS = 100_000  # about 20 MB; above, the whole node is emptied instead


class Load(NamedTuple):
    """What was taken out of a journal, to be removed: see the methods that take it."""

    overflowed: bool
    keys: list[bytes]
    flooded: AbstractSet[str]
    copies: list[tuple[bytes, str]]


class Journal:
    """The dirty keys of one node.  Not synchronised: its node's lock guards it."""

    __slots__ = ("_copies", "_flooded", "_keys", "has_overflowed", "most_keys")

    def __init__(self, most_keys: int = MOST_KEYS) -> None:
        self.most_keys = most_keys
        self.has_overflowed = False
        self._keys: set[bytes] = set()
        self._copies: set[tuple[bytes, str]] = set()
        self._flooded: set[str] = set()

    def __len__(self) -> int:
        return len(self._keys) + len(self._copies)

    @property
    def is_clean(self) -> bool:
        """True if nothing has to be removed from anywhere."""
        return not (self._keys or self._copies or self.has_overflowed or self._flooded)

    def add(self, keys: Iterable[bytes]) -> None:
        """Note *keys* as dirty on the node."""
        self._keys.update(keys)
        if len(self._keys) > self.most_keys:
            self._keys.clear()
            self.has_overflowed = True

    def add_copy(self, key: bytes, name: str) -> None:
        """Note that *key* was written to the node *name* instead."""
        if len(self._copies) < self.most_keys:
            self._copies.add((key, name))
        elif (key, name) not in self._copies:
            self._flooded.add(name)

    def take(self, most: int) -> list[bytes]:
        """Take up to *most* dirty keys out; `add` them again if they could not be removed."""
        taken: list[bytes] = []
        while self._keys and len(taken) < most:
            taken.append(self._keys.pop())
        return taken

    def take_copies(self, most: int) -> list[tuple[bytes, str]]:
        """Take up to *most* pairs of a copy's key and its node's name out."""
        taken: list[tuple[bytes, str]] = []
        while self._copies and len(taken) < most:
            taken.append(self._copies.pop())
        return taken

    def take_flooded(self) -> set[str]:
        """Take the names of the nodes that hold more copies than were noted: they must be emptied."""
        taken, self._flooded = self._flooded, set()
        return taken

    def put_back(self, load: Load) -> None:
        """Note again what was taken and could not be removed."""
        self.add(load.keys)
        self.has_overflowed |= load.overflowed
        self._flooded |= load.flooded
        for key, name in load.copies:
            self.add_copy(key, name)

    def take_overflow(self) -> bool:
        """Return whether the whole node must be emptied, and forget it."""
        overflowed, self.has_overflowed = self.has_overflowed, False
        return overflowed
