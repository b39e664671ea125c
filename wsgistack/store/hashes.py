"""The hashes by which other programs place keys: 32 bits, each exactly as they compute it."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from hashlib import md5

__all__ = ["HASHES", "KeyHash", "fnv1a", "md5_words", "one_at_a_time"]

KeyHash = Callable[[bytes], int]
MASK = 0xFFFFFFFF
FNV_BASIS, FNV_PRIME = 0x84222325, 0x1B3  # the lower halves of FNV-1a's 64-bit numbers


def md5_words(text: bytes) -> tuple[int, int, int, int]:
    """Return the four little-endian words of the MD5 digest; ketama's points."""
    digest = md5(text, usedforsecurity=False).digest()
    whole = int.from_bytes(digest, "little")
    return whole & MASK, whole >> 32 & MASK, whole >> 64 & MASK, whole >> 96


def md5_word(text: bytes) -> int:
    """Return the first little-endian word of the MD5 digest."""
    return int.from_bytes(md5(text, usedforsecurity=False).digest()[:4], "little")


def one_at_a_time(text: bytes) -> int:
    """Return Bob Jenkins' one-at-a-time hash: libmemcached's default."""
    value = 0
    for byte in text:
        value = (value + byte) & MASK
        value = (value + (value << 10)) & MASK
        value ^= value >> 6
    value = (value + (value << 3)) & MASK
    value ^= value >> 11
    return (value + (value << 15)) & MASK


def fnv1a(text: bytes) -> int:
    """Return twemproxy's default, `fnv1a_64`: 32 bits of it, its bytes signed as in C on x86."""
    value = FNV_BASIS
    for byte in text:
        value = (value ^ (byte if byte < 128 else byte | 0xFFFFFF00)) * FNV_PRIME & MASK
    return value


HASHES: dict[str, KeyHash] = {
    "md5": md5_word,
    "crc32": zlib.crc32,
    "one_at_a_time": one_at_a_time,
    "fnv1a": fnv1a,
}
