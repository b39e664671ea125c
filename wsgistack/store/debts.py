"""Keys that are still to be removed from a store that did not hear of it.  Engine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice

__all__ = ["Debts"]

MOST = 100_000  # as a ring's dirty keys; beyond these the oldest are given up
MOST_AT_ONCE = 1000
NONE: Mapping[str, int] = {}


class Debts:
    """Keys, each with the number of its latest debt.  Who calls it from several threads holds a lock, but for `in`."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._made = 0
        self._due_at = 0.0

    def __contains__(self, key: object) -> bool:
        return key in self._numbers

    def __bool__(self) -> bool:
        return bool(self._numbers)

    def owe(self, keys: Iterable[str]) -> None:
        """Take note of *keys*, each as the newest."""
        self._made += 1
        for key in keys:
            self._numbers.pop(key, None)
            self._numbers[key] = self._made
        while len(self._numbers) > MOST:
            del self._numbers[next(iter(self._numbers))]

    def of(self, keys: Iterable[str]) -> dict[str, int]:
        """Return those of *keys* that are here, for `settle`."""
        return {key: self._numbers[key] for key in keys if key in self._numbers}

    def due(self, now: float) -> dict[str, int]:
        """Return what is to be removed at *now*, the oldest first; nothing after `put_off`."""
        return dict(islice(self._numbers.items(), MOST_AT_ONCE)) if now >= self._due_at else {}

    def put_off(self, until: float, *, failed: Mapping[str, int] = NONE) -> None:
        """Let nothing be due before *until*; what *failed* is due after all others, whose node may be there."""
        self._due_at = until
        for key in self.of(failed):
            self._numbers[key] = self._numbers.pop(key)

    def settle(self, paid: Mapping[str, int]) -> None:
        """Forget what was removed, but for keys that are owed anew since."""
        for key, number in paid.items():
            if self._numbers.get(key) == number:
                del self._numbers[key]
