"""Bodies that are compressed block by block, one class for each coding: gzip, and br.  RFC 1952, RFC 7932

A block in, a block out: what was given can be read at once.  Some random bytes that no reader sees
stand before the body, so that its length tells no secret of it (BREACH): gzip has a file name for
that, brotli a block of metadata.

`br` is there where the package brotli is; it is loaded when it is asked for.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable, Iterable
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import NamedTuple

from wsgistack.complaints import gather
from wsgistack.errors import SettingError
from wsgistack.http.codings import read_codings
from wsgistack.passage import Recoding

__all__ = ["MOST_PADDING", "Brotli", "Coder", "Gzip", "Strength", "find_coders", "installed_codings"]

MOST_PADDING = 1024
# Of brotli, 64 KiB, twice that of gzip: with a larger one an encoder takes 1 MiB more, and twice the
# time for a page of 10 kB, to save nothing of it.
WINDOW_BITS = 16


class Strength(NamedTuple):
    """*level*: of zlib, 1 to 9.  *quality*: of brotli, 0 to 11.  *padding*: so many random bytes at most."""

    level: int
    quality: int
    padding: int

    def draw_padding(self) -> bytes:
        """Return random bytes, of which random many."""
        drawn = os.urandom(self.padding + 2)
        return drawn[2 : 2 + int.from_bytes(drawn[:2], "big") % (self.padding + 1)]


Coder = Callable[[Strength], Recoding]


class Gzip:
    """One body in gzip."""

    def __init__(self, strength: Strength) -> None:
        padding = strength.draw_padding()
        name = padding.hex()[: len(padding)].encode()
        # RFC 1952 §2.3: FLG.FNAME; no time; the system is unknown.
        self._first = b"\x1f\x8b\x08\x08\0\0\0\0\0\xff" + name + b"\0"
        self._deflate = zlib.compressobj(strength.level, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._crc = self._size = 0

    def take(self, data: bytes) -> bytes:
        """Return what is to be sent for a block."""
        first, self._first = self._first, b""
        self._crc, self._size = zlib.crc32(data, self._crc), self._size + len(data)
        return first + self._deflate.compress(data) + self._deflate.flush(zlib.Z_SYNC_FLUSH)

    def last(self) -> bytes:
        """Return what ends the body."""
        first, self._first = self._first, b""
        return first + self._deflate.flush() + struct.pack("<II", self._crc, self._size & 0xFFFFFFFF)


class Brotli:
    """One body in br."""

    def __init__(self, strength: Strength) -> None:
        self._compressor = import_module("brotli").Compressor(quality=strength.quality, lgwin=WINDOW_BITS)
        # The head of the stream; flushed it ends with a whole byte, where another block can begin.
        self._first = bytes(self._compressor.flush()) + _make_metadata(strength.draw_padding())

    def take(self, data: bytes) -> bytes:
        """Return what is to be sent for a block."""
        first, self._first = self._first, b""
        return first + bytes(self._compressor.process(data)) + bytes(self._compressor.flush())

    def last(self) -> bytes:
        """Return what ends the body."""
        first, self._first = self._first, b""
        return first + bytes(self._compressor.finish())


def _make_metadata(data: bytes) -> bytes:
    """Return a block of metadata, which readers skip, b"" for no *data*.  RFC 7932 §9.2

    From the lowest bit: not the last block, MNIBBLES is 0 (`11`), one reserved, how many bytes MSKIPLEN
    has (2 bits), MSKIPLEN - 1, zeros up to a whole byte.  Its last byte may not be 0 where it has two.
    """
    if not data:
        return b""
    size = 1 if len(data) <= 256 else 2
    bits = 0b0110 | size << 4 | (len(data) - 1) << 6
    return bits.to_bytes(size + 1, "little") + data


CODERS: dict[str, Coder] = {"br": Brotli, "gzip": Gzip}  # the preferred first
PACKAGES = {"br": "brotli"}


def installed_codings() -> tuple[str, ...]:
    """Return the codings whose packages are installed, the preferred first."""
    return tuple([name for name in CODERS if name not in PACKAGES or find_spec(PACKAGES[name]) is not None])


def find_coders(names: Iterable[str], *, setting: str) -> dict[str, Coder]:
    """Return {coding: coder} for *names* in their order, without any for all that are installed.

    Raises SettingError for what is no coding, has no coder here, or lacks its package.
    """
    chosen, installed = read_codings(names, setting=setting), installed_codings()
    gather(partial(_check_coder, name, installed, setting) for name in chosen)
    return {name: CODERS[name] for name in chosen or installed}


def _check_coder(name: str, installed: tuple[str, ...], setting: str) -> None:
    if name not in CODERS:
        raise SettingError(f"{setting}: {name!r} is not made here, only {', '.join(CODERS)}")
    if name not in installed:
        package = PACKAGES[name]
        raise SettingError(
            f"{setting}: {name!r} needs the package {package}: pip install wsgistack[{package}]"
        )
