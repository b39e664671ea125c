"""Keys as a memcached takes them, for keys of any length and alphabet.

A key of visible ASCII that is short enough goes as it is, behind the prefix, so that other clients
find it.  Any other becomes `prefix` + `h:` + 27 characters of its BLAKE2b; the codec then stores
the whole key beside the value, and compares it when reading: two keys never share a value, not
even if their hashes could be made to collide.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from hashlib import blake2b
from typing import NamedTuple

from wsgistack.errors import ArgumentError, ConfigurationError

__all__ = ["LONGEST_PREFIX", "Keys", "WireKey"]

LONGEST_KEY = 250  # memcached's own bound
LONGEST_PREFIX = 100
HASH_BYTES = 20
MARK = b"h:"
VISIBLE = re.compile(rb"[!-~]*")


class WireKey(NamedTuple):
    """*wire*: the key on the wire and on the ring.  *full*: what the caller wrote, if *wire* is a hash of it."""

    wire: bytes
    full: bytes | None


class Keys:
    """The keys of one application, all behind its *prefix* (visible ASCII, at most 100 characters)."""

    def __init__(self, prefix: str | bytes = b"") -> None:
        self.prefix = prefix.encode("utf-8", "surrogatepass") if isinstance(prefix, str) else prefix
        if len(self.prefix) > LONGEST_PREFIX or not VISIBLE.fullmatch(self.prefix):
            raise ConfigurationError(
                f"prefix: {prefix!r} is not at most {LONGEST_PREFIX} visible ASCII characters without spaces"
            )
        longest = LONGEST_KEY - len(self.prefix)
        # Not empty, and not what a hash could look like: that would let one choose another's key.
        self._is_clean = re.compile(rb"(?!h:)[!-~]{1,%d}" % longest).fullmatch

    def make(self, key: str | bytes) -> WireKey:
        """Return the key on the wire; text and its UTF-8 bytes have the same one."""
        if isinstance(key, str):
            key = key.encode("utf-8", "surrogatepass")
        elif not isinstance(key, bytes):
            raise ArgumentError(f"key: {key!r} is neither str nor bytes")
        if self._is_clean(key):
            return WireKey(self.prefix + key, None)
        code = urlsafe_b64encode(blake2b(key, digest_size=HASH_BYTES).digest()).rstrip(b"=")
        return WireKey(self.prefix + MARK + code, key)
