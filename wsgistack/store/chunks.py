"""Values that are larger than an item may be: chunks, and a manifest that names them.

The names of the chunks are drawn anew at each write, so a reader gets all chunks of one value or
none: a manifest never names chunks of two writes, and deleting the manifest is deleting the value.
One missing or damaged chunk makes the whole a miss.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from struct import Struct

from wsgistack.errors import Unreadable

__all__ = ["CHUNK_BYTES", "LARGEST_ITEM", "Manifest", "split"]

LARGEST_ITEM = 1024 * 1024 - 512  # memcached's default of 1 MiB holds the key and a header too
CHUNK_BYTES = 1_000_000
NAME_BYTES = 12
DIGEST_BYTES = 16
HEAD = Struct(f">BIQ{NAME_BYTES}s{DIGEST_BYTES}s")  # version, flags, length, name, digest
VERSION = 1


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a value in chunks is: its own *flags*, its *length*, its chunks' common *name*, its *digest*."""

    flags: int
    length: int
    name: bytes
    digest: bytes

    @classmethod
    def parse(cls, body: bytes, *, most_bytes: int) -> Manifest:
        """Return the manifest that an item with the flags CHUNKED holds, or raise Unreadable.

        *most_bytes*: of the whole value, so that nobody makes a reader fetch more.
        """
        if len(body) != HEAD.size:
            raise Unreadable(f"chunks: a manifest of {len(body)} bytes, not {HEAD.size}")
        version, flags, length, name, digest = HEAD.unpack(body)
        if version != VERSION or not 0 < length <= most_bytes:
            raise Unreadable(f"chunks: version {version}, {length} bytes")
        return cls(flags, length, name, digest)

    def show(self) -> bytes:
        """Return the item that `parse` reads."""
        return HEAD.pack(VERSION, self.flags, self.length, self.name, self.digest)

    def keys(self, prefix: bytes) -> list[bytes]:
        """Return the keys of the chunks on the wire, in order."""
        count = -(-self.length // CHUNK_BYTES)
        return [b"%bh:%b.%d" % (prefix, self.name.hex().encode(), number) for number in range(count)]

    def join(self, prefix: bytes, found: Mapping[bytes, bytes]) -> bytes:
        """Return the body from its chunks by key, or raise Unreadable if one is missing or damaged."""
        try:
            body = b"".join([found[key] for key in self.keys(prefix)])
        except KeyError as missing:
            raise Unreadable(f"chunks: {missing} is missing") from None
        if len(body) != self.length or _digest(body) != self.digest:
            raise Unreadable("chunks: damaged")
        return body


def split(prefix: bytes, body: bytes, flags: int, name: bytes) -> tuple[Manifest, dict[bytes, bytes]]:
    """Return the manifest of *body* and its chunks by key.

    *name*: 12 random bytes.  The chunks are to be stored first, the manifest last and with the
    flags `codec.CHUNKED`, and with no longer a life than theirs.
    """
    manifest = Manifest(flags, len(body), name, _digest(body))
    keys = manifest.keys(prefix)
    return manifest, {
        key: body[number * CHUNK_BYTES : (number + 1) * CHUNK_BYTES] for number, key in enumerate(keys)
    }


def _digest(body: bytes) -> bytes:
    return blake2b(body, digest_size=DIGEST_BYTES).digest()
