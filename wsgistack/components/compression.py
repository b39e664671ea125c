"""`compression`: gzip for responses that are worth it.  RFC 9110 §8.4, §12.5.3; RFC 1952.

What is compressed gets `Vary: Accept-Encoding` and a weak ETag; a response that must not be changed
(no-transform, a range, an encoding of its own) is left alone, and so is one that a page cache already
holds compressed.  A stream stays one: each block that the application gives is sent at once.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterable
from functools import lru_cache

from werkzeug.datastructures import Accept
from werkzeug.http import parse_accept_header

from wsgistack.errors import SettingError
from wsgistack.settings import INT, SIZE, WORDS, Setting, Table
from wsgistack.steps import Passage, Steps
from wsgistack.wsgi import Environ, Headers, StartResponse, WSGIApplication

__all__ = ["HELP", "MAIN", "NAME", "PLACE", "SETTINGS", "Compression", "make"]

TYPES = (
    "text/*",
    "application/javascript",
    "application/json",
    "application/problem+json",
    "application/xml",
    "application/xhtml+xml",
    "application/atom+xml",
    "application/rss+xml",
    "application/wasm",
    "image/svg+xml",
)
MOST_PADDING = 1024
UNCHANGED = frozenset(("204", "205", "206", "304"))
VARY = ("Vary", "Accept-Encoding")

NAME = "compression"
PLACE = 60
HELP = "gzip for text-like responses whose client takes it"
MAIN = "level"
SETTINGS = Table(
    "compression",
    [
        Setting("level", INT, 6, "of zlib; 1 is quick, 9 is small", least=1, most=9),
        Setting("least_bytes", SIZE, 500, "a shorter response of known length is not worth it"),
        Setting("types", WORDS, TYPES, "media types; `text/*` stands for all of its kind"),
        Setting(
            "padding_bytes",
            INT,
            100,
            "up to so many random bytes are put into the gzip header, so that a length tells no secret of the body (BREACH)",
            most=MOST_PADDING,
        ),
    ],
)


class Compression:
    """A WSGI application that compresses what *app* answers.

    Compressed with gzip is a 2xx, 4xx or 5xx response to a request that accepts gzip, of one of
    *types*, without Content-Encoding, Content-Range or `no-transform`, not shorter than *least_bytes*
    where its length is known.  text/event-stream is left alone.  The body is never held back: a block
    in, a block out.  Safe for threads and greenlets.
    """

    is_step = is_shaping = True
    at_end = None

    def __init__(
        self,
        app: WSGIApplication,
        *,
        level: int = 6,
        least_bytes: int = 500,
        types: Iterable[str] = TYPES,
        padding_bytes: int = 100,
    ) -> None:
        if not 1 <= level <= 9:
            raise SettingError(f"level: {level!r} is not a number from 1 to 9")
        if not 0 <= padding_bytes <= MOST_PADDING:
            raise SettingError(f"padding_bytes: {padding_bytes!r} is not a number from 0 to {MOST_PADDING}")
        self.app = app
        self._level = level
        self._least_bytes = least_bytes
        self._padding = padding_bytes
        words = {word.lower() for word in types}
        self._kinds = tuple(word[:-1] for word in words if word.endswith("/*"))
        self._types = frozenset(words)
        self._steps = Steps((self,))
        self._is_text = lru_cache(maxsize=256)(self._is_of_types)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request, compressed where that may and should be."""
        return self._steps.run(self.app, environ, start_response)

    def enter(self, environ: Environ, passage: Passage, /) -> None:
        """Ask for the head."""
        passage.shape = self._shape

    def _shape(self, passage: Passage) -> None:
        """Decide, now that the head is known."""
        fields, headers = passage.fields, passage.headers
        if not self._is_text(fields.get("content-type", "")) or not self._wants(
            passage.head, fields, headers
        ):
            return
        if "vary" not in fields or not _varies(headers):
            headers.append(VARY)
        get = passage.environ.get
        if get("REQUEST_METHOD") != "HEAD" and _takes_gzip(get("HTTP_ACCEPT_ENCODING", "")):
            passage.headers = _as_gzip(headers)
            passage.recoding = _Gzip(self._level, self._padding)

    def _wants(self, status: str, fields: dict[str, str], headers: Headers) -> bool:
        """Tell whether a response of that head, of one of the types, is compressed at all."""
        if status[:3] in UNCHANGED or status[:1] in "13":
            return False
        if "content-encoding" in fields or "content-range" in fields:
            return False
        length = fields.get("content-length", "")
        if length.isdigit() and int(length) < self._least_bytes:
            return False
        return "cache-control" not in fields or "no-transform" not in _combined(headers, "cache-control")

    def _is_of_types(self, content_type: str) -> bool:
        media = content_type.partition(";")[0].strip().lower()
        if media == "text/event-stream":
            return False
        return media in self._types or media.startswith(self._kinds or "\0")


class _Gzip:
    """One body that is compressed block by block.  RFC 1952"""

    def __init__(self, level: int, padding: int) -> None:
        name = os.urandom(padding).hex()[: int.from_bytes(os.urandom(2), "big") % (padding + 1)]
        # §2.3: FLG.FNAME; no time; the system is unknown.
        self._first = b"\x1f\x8b\x08\x08\0\0\0\0\0\xff" + name.encode() + b"\0"
        self._deflate = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
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


@lru_cache(maxsize=512)
def _takes_gzip(accept_encoding: str) -> bool:
    accepted: Accept = parse_accept_header(accept_encoding)
    # RFC 9110 §12.5.3: q=0 refuses; identity is preferred by who says so.
    return accepted.quality("gzip") > 0 and accepted.quality("gzip") >= _quality_of_identity(accepted)


def _quality_of_identity(accepted: Accept) -> float:
    return next((float(quality) for value, quality in accepted if value.lower() == "identity"), 0.0)


def _as_gzip(headers: Headers) -> Headers:
    """Return the fields of the compressed form.  RFC 9110 §8.8.3.3: its ETag is another's, or weak."""
    kept = []
    for name, value in headers:
        low = name.lower()
        if low == "etag" and not value.startswith("W/"):
            kept.append((name, "W/" + value))
        elif low not in ("content-length", "accept-ranges"):
            kept.append((name, value))
    return [*kept, ("Content-Encoding", "gzip")]


def _varies(headers: Headers) -> bool:
    told = [word.strip() for word in _combined(headers, "vary").split(",")]
    return "accept-encoding" in told or "*" in told


def _combined(headers: Headers, name: str) -> str:
    return ",".join([value for key, value in headers if key.lower() == name]).lower()


make = Compression
