"""`verify = N`: a page is shared only after N fills for different requests were equal, byte for byte.

What is put into a page for one visitor (a token, a name, a nonce) differs from fill to fill, whatever
the fields say.  The first difference is told by its place, so that it can be found in the template.
Fields count too (a redirect to somebody's own page has no body), but for those that are about one
request.  A page that is another one than what was verified begins anew.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from hashlib import blake2b
from typing import NamedTuple

from wsgistack import forks
from wsgistack.cache.head import ResponseHead
from wsgistack.errors import SettingError

__all__ = ["Checked", "Verification"]

MOST_FILLS = 100
MOST_KEYS = 1024
MOST_BYTES = 16 * 1024 * 1024
MOST_VERIFIED = 10_000
FIELD_BYTES = 160  # a tuple, two texts and the place in a tuple
# What differs from fill to fill because time passes, or because each request has a number.
OF_ONE_FILL = frozenset(
    (
        *("age", "date", "etag", "expires", "last-modified"),
        *("server-timing", "traceparent", "x-correlation-id", "x-request-id", "x-runtime", "x-trace-id"),
    )
)
Says = tuple[tuple[str, str], ...]


class Checked(NamedTuple):
    """What came of a fill.

    *differs_at*: the first byte of the body that is another one, None where all are equal.
    *differs_in*: the name of the first field, or `status`; "" where all are equal.
    """

    may_share: bool
    equal_fills: int
    differs_at: int | None = None
    differs_in: str = ""


class Verification:
    """The fills of one process that were not enough yet; bounded, the oldest are forgotten first."""

    def __init__(self, fills: int) -> None:
        if isinstance(fills, bool) or not isinstance(fills, int) or not 2 <= fills <= MOST_FILLS:
            raise SettingError(f"verify: {fills!r} is not a number of fills from 2 to {MOST_FILLS} (0: none)")
        self._fills = fills
        self._waiting: dict[bytes, tuple[int, Says, bytes]] = {}
        self._bytes = 0  # of bodies and fields that wait
        self._verified: dict[bytes, bytes] = {}  # what of a key was verified, by its digest
        self._lock = threading.Lock()
        forks.register(self)

    def may_be_enough(self, key: bytes) -> bool:
        """Tell whether the page of *key* (the whole frame) may be shared after one more fill."""
        return key in self._verified or self._waiting.get(key, (0,))[0] + 1 >= self._fills

    def check(self, key: bytes, head: ResponseHead, body: bytes) -> Checked:
        """Take note of a fill and return whether the page may be shared.

        A difference begins anew with what came last, and takes back what was verified.
        """
        says = _says(head)
        digest = _digest(says, body)
        with self._lock:
            if self._verified.get(key) == digest:
                return Checked(may_share=True, equal_fills=self._fills)
            self._verified.pop(key, None)
            times, said, before = self._waiting.pop(key, (0, says, body))
            self._bytes -= _size(said, before) if times else 0
            differs_at = find_difference(before, body) if before != body else None
            differs_in = "" if differs_at is not None else _find_field(said, says)
            times = 1 if differs_at is not None or differs_in else times + 1
            if times >= self._fills:
                self._verify(key, digest)
                return Checked(may_share=True, equal_fills=times)
            self._wait(key, times, says, body)
        return Checked(may_share=False, equal_fills=times, differs_at=differs_at, differs_in=differs_in)

    def forked(self) -> None:
        """Begin anew where a thread of the parent was in the middle of a check."""
        if forks.is_held(self._lock):
            self._waiting, self._bytes, self._verified = {}, 0, {}
        self._lock = threading.Lock()

    def _wait(self, key: bytes, times: int, says: Says, body: bytes) -> None:
        self._waiting[key] = (times, says, body)
        self._bytes += _size(says, body)
        while self._waiting and (self._bytes > MOST_BYTES or len(self._waiting) > MOST_KEYS):
            _, said, old = self._waiting.pop(next(iter(self._waiting)))
            self._bytes -= _size(said, old)

    def _verify(self, key: bytes, digest: bytes) -> None:
        while len(self._verified) >= MOST_VERIFIED:
            del self._verified[next(iter(self._verified))]
        self._verified[key] = digest


def _says(head: ResponseHead) -> Says:
    """Return the status and the fields of *head* that are the same for all whom the page is for."""
    fields = [(name.lower(), value) for name, value in head.fields]
    return (("status", str(head.status)), *[field for field in fields if field[0] not in OF_ONE_FILL])


def _size(says: Says, body: bytes) -> int:
    return len(body) + sum(len(name) + len(value) + FIELD_BYTES for name, value in says)


def _digest(says: Iterable[tuple[str, str]], body: bytes) -> bytes:
    digest = blake2b(repr(says).encode("utf-8", "surrogatepass"), digest_size=20)
    digest.update(body)
    return digest.digest()


def _find_field(one: Says, other: Says) -> str:
    """Return the name of the first field by which they differ, "" if none does."""
    if one == other:
        return ""
    return next(
        (name for name, value in (*one, *other) if one.count((name, value)) != other.count((name, value))),
        "order",
    )


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
