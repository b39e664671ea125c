"""The lines that store many values at once.

`wsgistack.store.memcached.storing_cy` is the compiled twin of this module; `wire` picks one.
"""

from __future__ import annotations

__all__ = ["write_stores"]


def write_stores(items: list[tuple[bytes, bytes, int]], ttl: int, opaque: int) -> bytes:
    """Return the `ms` of each (key, value, flags), the i-th with the opaque number *opaque* + i."""
    parts = [
        b"ms %b %d T%d F%d O%d\r\n%b\r\n" % (key, len(value), ttl, flags, number, value)
        for number, (key, value, flags) in enumerate(items, opaque)
    ]
    return b"".join(parts)
