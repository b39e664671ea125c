"""A single value by the shortest way: its request, and which answers need nothing more.

`calls_cy` and `singles.pxd` have the same for compiled modules.
"""

from __future__ import annotations

from wsgistack.store.memcached.calls import BULK_BYTES, FIRST_OPAQUE, LAST_OPAQUE, LINES
from wsgistack.store.memcached.replies import Answer, Reply
from wsgistack.store.memcached.wire import Call

__all__ = ["find_plain", "make_get"]

_opaque = LAST_OPAQUE


def make_get(key: bytes) -> Call:
    """Return the call that `requests.get` makes, with a number of its own."""
    global _opaque
    _opaque = opaque = _opaque + 1 if _opaque < LAST_OPAQUE else FIRST_OPAQUE
    return Call(b"mg %b v f c t O%d\r\n" % (key, opaque), LINES, "get", (None,), keys=[key], opaque=opaque)


def find_plain(answer: Answer | None) -> bytes | None:
    """Return the value that is all there is to say, or None."""
    reply = answer[0] if type(answer) is list else None
    if not isinstance(reply, Reply) or reply.code != b"VA" or reply.flags or reply.marks:
        return None
    value = reply.value
    return value if value and len(value) <= BULK_BYTES else None
