"""Who comes first: a visitor's token, what signs it, and the buckets that fall to him, for `buckets`.

`wsgistack.lot_cy` is the compiled twin of this module; `lots` picks one.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from wsgistack import forks
from wsgistack.passage import Passage
from wsgistack.splits import NOBODY, TOKEN_BYTES, Split, mark_of
from wsgistack.wsgi import Environ

__all__ = ["DRAWN_AT_ONCE", "Lots", "as_bytes", "draw", "label_of"]

DRAWN_AT_ONCE = 64  # tokens: one question to the kernel for many
BETWEEN = "~"


class Lots:
    """Draws visitors and finds their buckets.  *key*: 32 bytes, what both are keyed by; *cookie*: the name of the
    one that names a visitor, and of the one that tells his buckets to the application; *rest*: what follows the
    value of the first in Set-Cookie.  Safe for threads, greenlets and forks.
    """

    __slots__ = ("__weakref__", "_cookie", "_drawn", "_key", "_rest", "_splits")

    def __init__(self, key: bytes, splits: Sequence[Split], cookie: str, rest: str) -> None:
        if len(key) != 32:
            raise ValueError(f"key: {len(key)} bytes, not 32")
        self._key = key
        self._splits = tuple(splits)
        self._cookie = cookie
        self._rest = rest
        self._drawn: list[str] = []
        forks.register(self)

    def greet(self, environ: Environ, passage: Passage, /) -> str:
        """Return a new visitor, who is told by a cookie."""
        try:
            visitor = self._drawn.pop()
        except IndexError:
            visitor = draw(self._drawn)
        # A cookie of one's own makes a response nobody else's (RFC 9111 §7.3 leaves that to us).
        secure = "; Secure" if environ.get("wsgi.url_scheme") == "https" else ""
        passage.add([("Set-Cookie", f"{self._cookie}={visitor}.{self.mark_of(visitor)}{self._rest}{secure}")])
        return visitor

    def mark_of(self, visitor: str) -> str:
        """Return what the cookie says beside the visitor's token, so that nobody else can make one."""
        return mark_of(self._key, visitor)

    def find(self, visitor: str) -> tuple[tuple[tuple[str, str], ...], str]:
        """Return the visitor's bucket of each split, and the cookie that tells them."""
        if not visitor:
            raise ValueError("a visitor without a name")
        key, named = self._key, as_bytes(visitor)
        buckets = tuple([(split.name, split.bucket(key, named)) for split in self._splits])
        return buckets, f"{self._cookie}={label_of([bucket for _, bucket in buckets])}"

    def forked(self) -> None:
        """Forget what was drawn in advance: the parent gives it too."""
        self._drawn.clear()


def draw(drawn: list[str]) -> str:
    """Return a new token, and put more of them into *drawn*."""
    text = os.urandom(TOKEN_BYTES * DRAWN_AT_ONCE).hex()
    drawn += [text[at : at + 2 * TOKEN_BYTES] for at in range(2 * TOKEN_BYTES, len(text), 2 * TOKEN_BYTES)]
    return text[: 2 * TOKEN_BYTES]


def as_bytes(visitor: str) -> bytes:
    """Return a name as it came over the wire, which is what the balancer hashes; PEP 3333 has it in Latin-1."""
    try:
        return visitor.encode("latin-1")
    except UnicodeEncodeError:  # of a middleware that has another notion of text
        return visitor.encode("utf-8", "surrogatepass")


def label_of(buckets: Iterable[str]) -> str:
    """Return buckets as the cookie for the application tells them."""
    return BETWEEN.join(bucket or NOBODY for bucket in buckets)
