"""A single value by the shortest way: the numbers of its requests, and which answers need nothing more.

`singles.pxd` has the same for compiled modules.
"""

from __future__ import annotations

from wsgistack.store.memcached.calls import BULK_BYTES
from wsgistack.store.memcached.replies import Answer, Reply

__all__ = ["FIRST_OPAQUE", "LAST_OPAQUE", "find_plain", "write_get"]

# Apart from those of `requests`, so that no two calls on their way have the same number.
FIRST_OPAQUE, LAST_OPAQUE = 2_000_000, 9_999_999


def write_get(key: bytes, opaque: int) -> bytes:
    """Return what `requests.get` asks."""
    return b"mg %b v f c t O%d\r\n" % (key, opaque)


def find_plain(answer: Answer | None) -> bytes | None:
    """Return the value that is all there is to say, or None."""
    reply = answer[0] if type(answer) is list else None
    if not isinstance(reply, Reply) or reply.code != b"VA" or reply.flags or reply.marks:
        return None
    value = reply.value
    return value if value and len(value) <= BULK_BYTES else None
