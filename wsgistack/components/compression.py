"""`compression`: gzip for responses that are worth it.  RFC 9110 §8.4, §12.5.3; RFC 1952.

What is compressed gets `Vary: Accept-Encoding` and a weak ETag; a response that must not be changed
(no-transform, a range, an encoding of its own) is left alone, and so is one that a page cache already
holds compressed.  A stream stays one: each block that the application gives is sent at once.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache

from werkzeug.datastructures import Accept
from werkzeug.http import parse_accept_header

from wsgistack.errors import SettingError
from wsgistack.settings import INT, SIZE, WORDS, Setting, Table
from wsgistack.wsgi import Environ, ExcInfo, Headers, StartResponse, WSGIApplication, pass_head

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
        self._is_text = lru_cache(maxsize=256)(self._is_of_types)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request, compressed where that may and should be."""
        return _Passage(self, environ, start_response).body(self.app)

    def wants(self, status: str, headers: Headers) -> bool:
        """Tell whether a response of that head is of a kind that is compressed at all."""
        if status[:3] in ("204", "205", "206", "304") or status[:1] in "13":
            return False
        content_type = ""
        for name, value in headers:
            low = name.lower()
            if low == "content-type":
                content_type = value
            elif low == "content-length":
                if value.isdigit() and int(value) < self._least_bytes:
                    return False
            elif low in ("content-encoding", "content-range") or (
                low == "cache-control" and "no-transform" in value.lower()
            ):
                return False
        return self._is_text(content_type)

    def start(self) -> tuple[bytes, Callable[[bytes], bytes], Callable[[], bytes]]:
        """Return the first bytes, what compresses a block, and what ends it."""
        name = os.urandom(self._padding).hex()[: int.from_bytes(os.urandom(2), "big") % (self._padding + 1)]
        deflate = zlib.compressobj(self._level, zlib.DEFLATED, -zlib.MAX_WBITS)
        crc = size = 0

        def block(data: bytes) -> bytes:
            nonlocal crc, size
            crc, size = zlib.crc32(data, crc), size + len(data)
            return deflate.compress(data) + deflate.flush(zlib.Z_SYNC_FLUSH)

        def end() -> bytes:
            return deflate.flush() + struct.pack("<II", crc, size & 0xFFFFFFFF)

        # RFC 1952 §2.3: FLG.FNAME; no time; the system is unknown.
        return b"\x1f\x8b\x08\x08\0\0\0\0\0\xff" + name.encode() + b"\0", block, end

    def _is_of_types(self, content_type: str) -> bool:
        media = content_type.partition(";")[0].strip().lower()
        if media == "text/event-stream":
            return False
        return media in self._types or media.startswith(self._kinds or "\0")


@lru_cache(maxsize=512)
def _takes_gzip(accept_encoding: str) -> bool:
    accepted: Accept = parse_accept_header(accept_encoding)
    # RFC 9110 §12.5.3: q=0 refuses; identity is preferred by who says so.
    return accepted.quality("gzip") > 0 and accepted.quality("gzip") >= _quality_of_identity(accepted)


def _quality_of_identity(accepted: Accept) -> float:
    return next((float(quality) for value, quality in accepted if value.lower() == "identity"), 0.0)


class _Passage:
    """One response on its way through."""

    def __init__(self, owner: Compression, environ: Environ, start_response: StartResponse) -> None:
        self._owner = owner
        self._environ = environ
        self._start_response = start_response
        self._started = self._compresses = False
        self._first = b""

    def body(self, app: WSGIApplication) -> Iterable[bytes]:
        """Return the response's body; a file_wrapper or list that is not touched is the application's own."""
        body = app(self._environ, self.start_response)
        if self._compresses or not self._started:
            return _Compressed(self, body)
        return body

    def start_response(
        self, status: str, headers: Headers, exc_info: ExcInfo | None = None, /
    ) -> Callable[[bytes], object]:
        """Decide, now that the head is known."""
        self._started = True
        if self._owner.wants(status, headers):
            headers = _with_vary(headers)
            self._compresses = self._environ["REQUEST_METHOD"] != "HEAD" and _takes_gzip(
                self._environ.get("HTTP_ACCEPT_ENCODING", "")
            )
            if self._compresses:
                headers = _as_gzip(headers)
                self._first, self.block, self.end = self._owner.start()
        write = pass_head(self._start_response, status, headers, exc_info)
        return self._compressing(write) if self._compresses else write

    def _compressing(self, write: Callable[[bytes], object]) -> Callable[[bytes], object]:
        return lambda data: write(self.take(data))

    def take(self, data: bytes) -> bytes:
        """Return what is to be sent for a block of the application's."""
        if not self._compresses or not data:
            return data
        first, self._first = self._first, b""
        return first + self.block(data)

    def last(self) -> bytes:
        """Return what ends the body, b"" for one that is not compressed."""
        if not self._compresses:
            return b""
        first, self._first = self._first, b""
        self._compresses, end = False, self.end()
        return first + end


class _Compressed:
    """A body that is compressed block by block and closes the application's exactly once."""

    __slots__ = ("_body", "_iterator", "_passage")

    def __init__(self, passage: _Passage, body: Iterable[bytes]) -> None:
        self._passage = passage
        self._body = body
        self._iterator: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._iterator is None:
            self._iterator = iter(self._body)
        try:
            data = next(self._iterator)
        except StopIteration:
            last = self._passage.last()
            if not last:
                raise
            return last
        return self._passage.take(data)

    def close(self) -> None:
        """Close the application's body."""
        close = getattr(self._body, "close", None)
        if close is not None:
            close()


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


def _with_vary(headers: Headers) -> Headers:
    told = [
        word.strip().lower() for name, value in headers if name.lower() == "vary" for word in value.split(",")
    ]
    return headers if "accept-encoding" in told or "*" in told else [*headers, ("Vary", "Accept-Encoding")]


make = Compression
