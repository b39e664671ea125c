"""Numbers that callers give and memcached would refuse, in the middle of a connection; pure."""

from __future__ import annotations

from typing import Any

from wsgistack.errors import ArgumentError

__all__ = ["check_delta", "check_flags", "read_token"]

MOST_FLAGS = 2**32 - 1  # memcached's own bounds, as the next one
MOST_COUNT = 2**64 - 1
MOST_DIGITS = 20


def check_delta(value: Any) -> int:
    """Return what to add to a number or to take off it, or raise ArgumentError."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_COUNT:
        raise ArgumentError(f"value: {value!r:.80} is not a whole number from 0 to 2**64 - 1")
    return value


def check_flags(flags: Any) -> int:
    """Return *flags*, or raise ArgumentError if they are none."""
    if isinstance(flags, bool) or not isinstance(flags, int) or not 0 <= flags <= MOST_FLAGS:
        raise ArgumentError(f"flags: {flags!r:.80} is not a whole number from 0 to 2**32 - 1")
    return flags


def read_token(cas: Any) -> int:
    """Return the token of `gets` that *cas* is, as bytes, text or a number; or raise ArgumentError."""
    text = cas if isinstance(cas, bytes) else f"{cas}".encode("utf-8", "surrogatepass")
    if isinstance(cas, bool) or not text.isdigit() or len(text) > MOST_DIGITS or int(text) > MOST_COUNT:
        raise ArgumentError(f"cas: {cas!r:.80} is not a token of gets")
    return int(text)
