"""`verify = N`: a page is shared only after N fills for different requests were equal, byte for byte.

What is put into a page for one visitor (a token, a name, a nonce) differs from fill to fill, whatever
the fields say.  The first difference is told by its place, so that it can be found in the template.
"""

from __future__ import annotations

import threading
from typing import NamedTuple

from wsgistack import forks
from wsgistack.errors import SettingError

__all__ = ["Checked", "Verification"]

MOST_FILLS = 100
MOST_KEYS = 1024
MOST_BYTES = 16 * 1024 * 1024
MOST_VERIFIED = 10_000


class Checked(NamedTuple):
    """What came of a fill.  *differs_at*: the first byte that is another one, None where all are equal."""

    may_share: bool
    equal_fills: int
    differs_at: int | None = None


class Verification:
    """The fills of one process that were not enough yet; bounded, the oldest are forgotten first."""

    def __init__(self, fills: int) -> None:
        if isinstance(fills, bool) or not isinstance(fills, int) or not 2 <= fills <= MOST_FILLS:
            raise SettingError(f"verify: {fills!r} is not a number of fills from 2 to {MOST_FILLS} (0: none)")
        self._fills = fills
        self._waiting: dict[bytes, tuple[int, bytes]] = {}
        self._bytes = 0
        self._verified: dict[bytes, None] = {}
        self._lock = threading.Lock()
        forks.register(self)

    def is_verified(self, key: bytes) -> bool:
        """Tell whether the page of *key* (the whole frame) was equal often enough."""
        return key in self._verified

    def check(self, key: bytes, body: bytes) -> Checked:
        """Take note of a fill and return whether the page may be shared.

        A difference begins anew with what came last, and takes back what was verified.
        """
        with self._lock:
            if key in self._verified:
                return Checked(may_share=True, equal_fills=self._fills)
            times, before = self._waiting.pop(key, (0, b""))
            self._bytes -= len(before)
            differs_at = None
            if times and before != body:
                differs_at, times = find_difference(before, body), 0
            times += 1
            if times >= self._fills:
                self._verify(key)
                return Checked(may_share=True, equal_fills=times)
            self._waiting[key] = (times, body)
            self._bytes += len(body)
            while self._waiting and (self._bytes > MOST_BYTES or len(self._waiting) > MOST_KEYS):
                _, old = self._waiting.pop(next(iter(self._waiting)))
                self._bytes -= len(old)
            return Checked(may_share=False, equal_fills=times, differs_at=differs_at)

    def forked(self) -> None:
        """Begin anew where a thread of the parent was in the middle of a check."""
        if forks.is_held(self._lock):
            self._waiting, self._bytes, self._verified = {}, 0, {}
        self._lock = threading.Lock()

    def _verify(self, key: bytes) -> None:
        while len(self._verified) >= MOST_VERIFIED:
            del self._verified[next(iter(self._verified))]
        self._verified[key] = None


def find_difference(one: bytes, other: bytes) -> int:
    """Return the first place where they differ; the length of the shorter one if it begins the other.

    >>> find_difference(b"<input a>", b"<input b>")
    7
    """
    low, high = 0, min(len(one), len(other))
    while low < high:  # whole slices are compared in C
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
