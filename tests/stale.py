"""Whether what was read had been replaced or removed before: what a cache must never give.

A cache may lose whatever it holds, so a read may find nothing at any time; what it finds must not
have been overwritten or removed by something that had begun behind it and was over before the read
began.  Those that overlap may have come in any order.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable, Iterator
from itertools import accumulate
from typing import NamedTuple

__all__ = ["APART", "SPLIT", "Change", "History", "Stale"]

APART, SPLIT = 1, 2


class Change(NamedTuple):
    """Something that made a value, or removed what was there: from when to when, and by whom.

    *value*: None for a removal.  *torn*: SPLIT if meanwhile those who use the cache did not have the
    same servers, APART if they had, and did not see them in the same state.
    """

    began: float
    ended: float
    who: int
    value: Hashable
    torn: int = 0
    said: str = ""


class Stale(NamedTuple):
    """A read that found what *made* made, though *gone* had replaced or removed it."""

    key: str
    read: Change
    made: Change
    gone: Change

    @property
    def is_own(self) -> bool:
        """Return whether nobody but the reader had to do with it."""
        return self.read.who == self.made.who == self.gone.who


class History:
    """What happened to one key.  Changes are noted when they are over."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.made: dict[Hashable, Change] = {}
        self.changes: list[Change] = []
        self.reads: list[Change] = []

    def change(self, one: Change) -> None:
        """Take note of a change, or of the try: what failed has removed what was there, or will before it is read."""
        self.changes.append(one)
        self.make(one)

    def make(self, one: Change) -> None:
        """Take note of what made a value that may have taken nobody's place."""
        if one.value is not None:
            self.made.setdefault(one.value, one)

    def read(self, one: Change) -> None:
        """Take note of a read that found *one*.value; what finds nothing is never wrong."""
        self.reads.append(one)

    def find_stale(self) -> Iterator[Stale]:
        """Yield each read of what was gone, with the latest change that had taken it away.

        A value that nobody is known to have made was made by somebody who never learned that it was.
        """
        by_anybody = _Latest(self.changes)
        of_each = {
            who: _Latest([one for one in self.changes if one.who == who])
            for who in {one.who for one in self.changes}
        }
        for read in self.reads:
            made = self.made.get(read.value)
            if made is None:
                continue
            # Of its own changes a reader may expect more: name one of these if there is one.
            for latest in (of_each.get(read.who), by_anybody):
                gone = None if latest is None else latest.over_before(read.began)
                # A counter on another node may come to a value again: then it was made by what took it away.
                if gone is not None and gone.began > made.ended and gone.value != read.value:
                    yield Stale(self.key, read, made, gone)
                    break


class _Latest:
    """Of some changes, at any time, the one that began last of those that were over."""

    def __init__(self, changes: list[Change]) -> None:
        ordered = sorted(changes, key=lambda one: one.ended)
        self._ends = [one.ended for one in ordered]
        self._latest = list(accumulate(ordered, _later))

    def over_before(self, then: float) -> Change | None:
        place = bisect_left(self._ends, then)
        return self._latest[place - 1] if place else None


def _later(one: Change, other: Change) -> Change:
    return other if other.began > one.began else one
