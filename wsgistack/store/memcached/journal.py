"""The dirty journal: which keys of a node must not be believed; pure.

A write or a removal that could not reach its node, or whose answer never came, makes the key
dirty: the node may hold what was replaced meanwhile.  Dirty keys are removed from the node before
it is used again.  While it is away its keys may live on other nodes; those copies are noted too,
and become dirty there when a newer one goes elsewhere, and when the node returns.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

__all__ = ["Journal", "Load"]

MOST_KEYS = 100_000  # about 20 MB; above, the whole node is emptied instead


class Load(NamedTuple):
    """What is being removed: all, or these keys."""

    overflowed: bool
    keys: list[bytes]


class Journal:
    """The dirty keys of one node.  Not synchronised: its node's lock guards it, but for `holds`."""

    __slots__ = ("_copies", "_flooded", "_keys", "_under_way", "has_overflowed", "most_keys")

    def __init__(self, most_keys: int = MOST_KEYS) -> None:
        self.most_keys = most_keys
        self.has_overflowed = False
        self._keys: set[bytes] = set()
        self._copies: dict[bytes, tuple[str, ...]] = {}
        self._flooded: set[str] = set()
        self._under_way: list[Load] = []

    def __len__(self) -> int:
        return len(self._keys) + len(self._copies)

    @property
    def is_clean(self) -> bool:
        """True if nothing has to be removed from the node, nor is being removed."""
        return not (self._keys or self.has_overflowed or self._under_way)

    def holds(self, key: bytes) -> bool:
        """Return whether *key* is dirty; anybody may ask.

        What is taken out is first noted as being under way, so it is found in one place or the other.
        """
        if key in self._keys or self.has_overflowed:
            return True
        return any(load.overflowed or key in load.keys for load in tuple(self._under_way))

    def add(self, keys: Iterable[bytes]) -> None:
        """Note *keys* as dirty on the node."""
        self._keys.update(keys)
        if len(self._keys) > self.most_keys:
            self.has_overflowed = True
            self._keys.clear()

    def take(self, most: int) -> Load:
        """Take out what is dirty, up to *most* keys; it stays noted until `settle` or `put_back`."""
        keys = [key for key, _ in zip(self._keys, range(most), strict=False)]
        load = Load(self.has_overflowed, keys)
        self._under_way.append(load)
        self.has_overflowed = False
        self._keys.difference_update(keys)
        return load

    def settle(self, load: Load) -> None:
        """Forget what was removed."""
        self._under_way = [one for one in self._under_way if one is not load]

    def put_back(self, load: Load) -> None:
        """Note again what was taken and could not be removed."""
        self.add(load.keys)
        self.has_overflowed |= load.overflowed
        self.settle(load)

    def forked(self) -> None:
        """Note again, in a child, what a thread of the parent was at: nobody knows whether it removed it."""
        for load in self._under_way:
            self.put_back(load)

    # -- what lives elsewhere meanwhile -------------------------------------------------

    def add_copy(self, key: bytes, name: str) -> None:
        """Note that *key* was written to the node *name* instead."""
        names = self._copies.get(key, ())
        if name in names:
            return
        if names or len(self._copies) < self.most_keys:
            self._copies[key] = (*names, name)
        else:
            self._flooded.add(name)

    @property
    def has_copies(self) -> bool:
        """True if keys live elsewhere."""
        return bool(self._copies)

    def copies_of(self, key: bytes) -> tuple[str, ...]:
        """Return the names of the nodes that may hold *key* instead."""
        return (*self._copies.get(key, ()), *self._flooded)

    def list_copies(self) -> list[tuple[bytes, str]]:
        """Return the pairs of a copy's key and its node's name."""
        return [(key, name) for key, names in self._copies.items() for name in names]

    def take_copies(self) -> tuple[list[tuple[bytes, str]], set[str]]:
        """Take out all copies, and the names of the nodes that hold more of them than were noted."""
        copies, flooded = self.list_copies(), self._flooded
        self._copies, self._flooded = {}, set()
        return copies, flooded
