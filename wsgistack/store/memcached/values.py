"""Values on their way to and from the servers: coded, and in chunks where one item cannot hold them."""

from __future__ import annotations

import os
from typing import Any, Protocol

from wsgistack.errors import ArgumentError, Unreadable
from wsgistack.store.chunks import LARGEST_ITEM, Manifest, split
from wsgistack.store.codec import CHUNKED
from wsgistack.store.keys import WireKey
from wsgistack.store.memcached import requests
from wsgistack.store.memcached.arguments import check_flags
from wsgistack.store.memcached.envelope import ENVELOPE, NO_ENVELOPE, Envelope, open_envelope
from wsgistack.store.memcached.operations import Operations

__all__ = ["MISSING", "Coding", "Serde", "Values"]

MOST_BYTES = 16 * 1024 * 1024
MISSING: Any = object()


class Coding(Protocol):
    """What `wsgistack.store.codec.Codec` offers."""

    def encode(self, key: WireKey, value: Any, flags_instead: int | None = None) -> tuple[bytes, int]:
        """Return (bytes, flags), which are *flags_instead* if given; ArgumentError for what cannot be stored."""
        ...

    def decode(self, key: WireKey, body: bytes, flags: int) -> Any:
        """Return the value; Unreadable for what cannot be believed."""
        ...


class Serde:
    """The coding that an object with pymemcache's `serialize` and `deserialize` is."""

    def __init__(self, serde: Any, *, encoding: str = "ascii") -> None:
        self._serde = serde
        self._encoding = encoding

    def encode(self, key: WireKey, value: Any, flags_instead: int | None = None) -> tuple[bytes, int]:
        """Return what `serialize` gives; text and numbers become bytes of *encoding*, as in pymemcache."""
        data, flags = self._serde.serialize(key.full or key.wire, value)
        flags = check_flags(flags if flags_instead is None else flags_instead)
        if isinstance(data, bytes):
            return data, flags
        try:
            return str(data).encode(self._encoding), flags
        except UnicodeEncodeError:
            encoding = self._encoding.upper()
            raise ArgumentError(f"value: {data!r:.80} is not {encoding}; a serde may encode it") from None

    def decode(self, key: WireKey, body: bytes, flags: int) -> Any:
        """Return what `deserialize` gives."""
        return self._serde.deserialize(key.full or key.wire, body, flags)


class Values:
    """The values of one ring."""

    def __init__(self, coding: Coding, *, prefix: bytes, do: Operations) -> None:
        self._coding = coding
        self._prefix = prefix
        self._do = do
        self._most_bytes = getattr(coding, "most_bytes", MOST_BYTES)
        self.plain_below: int = getattr(coding, "plain_below", 0)
        self._marks_empty = not isinstance(coding, Serde)  # a codec gives flags to the empty value

    def dump(
        self, key: WireKey, value: Any, ttl: int, flags_instead: int | None = None
    ) -> tuple[bytes, int] | None:
        """Return (bytes, flags) to store; a large value's chunks are stored before that.

        *flags_instead*: those to store the value with, whatever the coding would say.
        None: the chunks could not all be stored, so the value cannot be either.
        """
        if flags_instead is not None:
            check_flags(flags_instead)
        if type(value) is bytes and key.full is None and 0 < len(value) < self.plain_below:
            return value, flags_instead or 0  # what the coding would say
        body, flags = self._coding.encode(key, value, flags_instead)
        if len(body) <= LARGEST_ITEM:
            return body, flags
        manifest, chunks = split(self._prefix, body, flags, os.urandom(12))
        names = list(chunks)
        replies = self._do.write_many(
            names,
            lambda numbers, ttl: requests.store_many(
                [(names[number], chunks[names[number]], 0) for number in numbers], ttl
            ),
            ttl,
        )
        if any(reply is None or reply.code != b"HD" for reply in replies):
            return None
        return manifest.show(), CHUNKED

    def load(self, key: WireKey, body: bytes, flags: int, default: Any) -> Any:
        """Return the value, or *default* for what cannot be believed or is not whole."""
        if flags == 0 and body and self.plain_below and key.full is None:
            return body  # what the coding would say
        try:
            if not body and not flags and self._marks_empty:
                return default  # somebody has the right to make it
            if flags & ENVELOPE:
                _, body, flags = self.open(body, flags)
        except Unreadable:
            return default
        return self.load_opened(key, body, flags, default)

    def load_opened(self, key: WireKey, body: bytes, flags: int, default: Any) -> Any:
        """Return what `load` does, for what `open` gave: its flags may have the envelope's bit still."""
        try:
            if flags == CHUNKED:
                body, flags = self._gather(body, flags)
            return self._coding.decode(key, body, flags)
        except Unreadable:
            return default

    def open(self, body: bytes, flags: int) -> tuple[Envelope, bytes, int]:
        """Return the envelope around a value, and what is inside; Unreadable for what cannot be believed.

        The flags of a serde may be any, ours too: what is no envelope is then its value.
        """
        try:
            return open_envelope(body, flags)
        except Unreadable:
            if self._marks_empty:
                raise
            return NO_ENVELOPE, body, flags

    def _gather(self, body: bytes, flags: int) -> tuple[bytes, int]:
        """Return the bytes and flags of a value in chunks; one round trip over all nodes."""
        try:
            manifest = Manifest.parse(body, most_bytes=self._most_bytes)
        except Unreadable:
            if self._marks_empty:
                raise
            return body, flags  # of a serde: see open
        names = manifest.keys(self._prefix)
        items = self._do.read_many(names, is_bulk=True)
        found = {name: item.value for name, item in items.items()}
        return manifest.join(self._prefix, found), manifest.flags
