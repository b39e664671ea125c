"""What a request hashes by: the setting `hash_key`, and the hash of it.

The compiled twin is plane/keys.pyx; `explain` uses this one.
"""

from __future__ import annotations

import re
from collections.abc import Callable

__all__ = ["find_cookie", "find_key", "hash_text", "parse_hash_key"]

MASK = 2**64 - 1
TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"  # RFC 9110 5.6.2
FORM = re.compile(rf"(ip|uri)|(header|cookie):({TOKEN})")


def parse_hash_key(text: str) -> str:
    """Return *text* with its words in lower case (a cookie's name keeps its case); raise ValueError."""
    kind, colon, name = text.partition(":")
    whole = kind.lower() + colon + (name if kind.lower() == "cookie" else name.lower())
    if not FORM.fullmatch(whole):
        raise ValueError(f"{text!r} is not ip, uri, header:NAME or cookie:NAME")
    return whole


def find_key(hash_key: str, *, peer: str, target: str, field: Callable[[str], str | None]) -> int | None:
    """Return the key of a request: 32 bits; None if it has none of what *hash_key* names.

    *field(name)* gives the first field of that name.
    """
    kind, _, name = hash_key.partition(":")
    if kind == "ip":
        text: str | None = peer
    elif kind == "uri":
        text = target
    elif kind == "header":
        text = field(name)
    else:
        text = find_cookie(field("cookie") or "", name)
    return hash_text(text.encode("latin-1")) if text else None


def find_cookie(value: str, name: str) -> str | None:
    """Return the value of the first cookie of that name in a Cookie field (RFC 6265 4.2.1), quotes kept."""
    for pair in value.split(";"):
        found, equals, text = pair.strip(" \t").partition("=")
        if equals and found == name:
            return text
    return None


def hash_text(text: bytes) -> int:
    """Return 32 bits of *text*: FNV-1a of 64 bits, mixed as MurmurHash3 ends, for its upper bits are weak.

    >>> hash_text(b"/")
    3713737061
    """
    value = 0xCBF29CE484222325
    for byte in text:
        value = (value ^ byte) * 0x100000001B3 & MASK
    value ^= value >> 33
    value = value * 0xFF51AFD7ED558CCD & MASK
    value ^= value >> 33
    return value >> 32
