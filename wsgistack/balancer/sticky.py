"""Sticky sessions: what a cookie says for a node, and what a cookie may be called.

A token is keyed by a secret, so that nobody but us can make one, and it says nothing about the
node's address.  It depends on the pool: a cookie of one site is worth nothing on another's.

>>> make_tokens(b"secret", "mypool", ["127.0.0.1:8001"])
{'127.0.0.1:8001': 'BQvZYHXQnosYf8aB'}
"""

from __future__ import annotations

import re
import zlib
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b

from wsgistack.settings import Kind

__all__ = ["COOKIE_NAME", "make_tokens", "number_of"]

TOKEN_BYTES = 12  # 16 characters: 96 bits, for which nobody finds a second address
LONGEST_NAME = 60


def make_tokens(secret: bytes, pool: str, addresses: Iterable[str]) -> dict[str, str]:
    """Return the token of each address; a different one for each secret and pool."""
    key = blake2b(secret).digest()
    return {address: _make_token(key, pool, address) for address in addresses}


def number_of(name: str) -> int:
    """Return what an address or a service is called where 32 bits must do; never 0, the same in each process."""
    return zlib.crc32(name.encode()) or 1


@lru_cache(8192)  # the snapshot is made anew at each change of anything
def _make_token(key: bytes, pool: str, address: str) -> str:
    made = blake2b(f"{pool}\n{address}".encode(), key=key, digest_size=TOKEN_BYTES)
    return urlsafe_b64encode(made.digest()).decode()


def _read_name(text: str) -> str:
    # RFC 6265 4.1.1: a token of HTTP.
    if not re.fullmatch(rf"[!#$%&'*+.^_`|~0-9A-Za-z-]{{1,{LONGEST_NAME}}}", text, re.ASCII):
        raise ValueError(text)
    return text


COOKIE_NAME = Kind(
    "cookie",
    _read_name,
    str,
    f"Expecting the name of a cookie for parameter '{{name}}', at most {LONGEST_NAME} characters",
)
