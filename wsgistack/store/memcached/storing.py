"""The lines that store many values at once.

`wsgistack.store.memcached.storing_cy` is the compiled twin of this module; `wire` picks one.
"""

from __future__ import annotations

__all__ = ["write_stores"]


def write_stores(items: list[tuple[bytes, bytes, int]], ttl: int, opaque: int, is_quiet: bool) -> bytes:
    """Return the `ms` of each (key, value, flags), the i-th with the opaque number *opaque* + i.

    *is_quiet*: only what is refused is answered, and `MN` at the end.  No ttl and no flags are not
    said: the server takes a 25th of a small value's time to read each.
    """
    quiet = b" q" if is_quiet else b""
    expiry = b" T%d" % ttl if ttl else b""
    parts = [
        b"ms %b %d%b%b O%d%b\r\n%b\r\n"
        % (key, len(value), expiry, b" F%d" % flags if flags else b"", number, quiet, value)
        for number, (key, value, flags) in enumerate(items, opaque)
    ]
    if is_quiet:
        parts.append(b"mn\r\n")
    return b"".join(parts)
