"""What `fetch` keeps beside a value: the versions of its tags, how long it took to make, when it ends; pure.

Values without tags on servers with the meta protocol have no envelope, so that every client reads
them.  The flag ENVELOPE tells; what is inside has the remaining flags, and that one too if it says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from struct import Struct, error
from typing import NamedTuple

from wsgistack.errors import Unreadable

__all__ = ["ENVELOPE", "NO_ENVELOPE", "Envelope", "open_envelope"]

ENVELOPE = 4096
HEAD = Struct(">BdfH")  # version, end of life (seconds since 1970), seconds that it took, tags
TAG = Struct(">QH")  # the tag's version, the length of its name
VERSION = 1
MARKED = 2  # the version of those around flags that have the bit ENVELOPE themselves: those of a serde


class Envelope(NamedTuple):
    """*tags*: their versions by name.  *ends_at* and *took_s* are 0 where nobody needs them."""

    tags: Mapping[str, int]
    ends_at: float = 0.0
    took_s: float = 0.0

    def close(self, body: bytes, flags: int) -> tuple[bytes, int]:
        """Return (bytes, flags) with this around *body*."""
        head = MARKED if flags & ENVELOPE else VERSION
        parts = [HEAD.pack(head, self.ends_at, self.took_s, len(self.tags))]
        for name, version in self.tags.items():
            encoded = name.encode("utf-8", "surrogatepass")
            parts += [TAG.pack(version, len(encoded)), encoded]
        return b"".join([*parts, body]), flags | ENVELOPE


NO_ENVELOPE = Envelope({})


def open_envelope(body: bytes, flags: int) -> tuple[Envelope, bytes, int]:
    """Return the envelope (an empty one if there is none), the bytes and the flags inside; or raise Unreadable."""
    if not flags & ENVELOPE:
        return NO_ENVELOPE, body, flags
    tags: dict[str, int] = {}
    try:
        version, ends_at, took_s, count = HEAD.unpack_from(body)
        at = HEAD.size
        for _ in range(count):
            tag_version, length = TAG.unpack_from(body, at)
            at += TAG.size
            tags[body[at : at + length].decode("utf-8", "surrogatepass")] = tag_version
            at += length
    except (error, UnicodeDecodeError) as trouble:
        raise Unreadable(f"envelope: {trouble}") from None
    if version not in (VERSION, MARKED) or at > len(body):
        raise Unreadable(f"envelope: version {version}, {at} of {len(body)} bytes")
    inside = flags if version == MARKED else flags & ~ENVELOPE
    return Envelope(tags, ends_at, took_s), body[at:], inside
