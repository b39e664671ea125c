"""`compression`: gzip, and br where it is installed, for responses that are worth it.  RFC 9110 §8.4, §12.5.3.

    from wsgistack import wrap

    application = wrap(application, compression={"level": 6, "least_bytes": "1k"})

What is compressed gets `Vary: Accept-Encoding` and a weak ETag; a response that must not be changed
(no-transform, a range, an encoding of its own) is left alone, and so is one that a page cache already
holds compressed.  A stream stays one: each block that the application gives is sent at once.

A client gets the coding that it gives the highest weight, of several the first of `codings`.  `br`
needs the package Brotli, which the extra `wsgistack[brotli]` brings along.  A page cache outside of it, as in
a stack, makes of what browsers accept one of `codings`, so that a page is compressed once for each of them.

- In the response: `Content-Encoding`, `Vary`, a weak `ETag` where there was one, and another length or none.
- It costs 2 to 4 µs a request that it leaves alone, and a quarter of a millisecond for 10 kB of HTML.
- It does not touch images, films and archives, which are compressed already, nor unpack what clients send.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from wsgistack.chores import Encodings
from wsgistack.coders import MOST_PADDING, Coder, Strength, find_coders
from wsgistack.complaints import gather
from wsgistack.errors import SettingError
from wsgistack.http.codings import CODING_WORDS, find_coding
from wsgistack.memos import Memo
from wsgistack.settings import INT, SIZE, WORDS, Setting, Table
from wsgistack.steps import Passage, Steps
from wsgistack.wsgi import Environ, Headers, StartResponse, WSGIApplication

__all__ = ["HELP", "MAIN", "NAME", "PLACE", "SETTINGS", "Compression", "for_others", "make"]

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

MEDIA_TYPE = re.compile(r"[!#$%&'+.^_`|~0-9A-Za-z-]+/(?:\*|[!#$%&'+.^_`|~0-9A-Za-z-]+)")  # RFC 9110 §8.3.1
LARGEST_SIZE = 2**40

NAME = "compression"
PLACE = 60
HELP = "gzip and br for text-like responses whose client takes it"
MAIN = "level"
SETTINGS = Table(
    "compression",
    [
        Setting("level", INT, 6, "of gzip; 1 is quick, 9 is small", least=1, most=9),
        Setting(
            "quality", INT, 5, "of br; at 5 it is as quick as gzip at 6; 11 is for what is kept long", most=11
        ),
        Setting(
            "codings",
            CODING_WORDS,
            (),
            "content codings, the preferred first; none: `br` where its package is installed, then `gzip`",
        ),
        Setting("least_bytes", SIZE, 500, "a shorter response of known length is not worth it"),
        Setting("types", WORDS, TYPES, "media types; `text/*` stands for all of its kind"),
        Setting(
            "padding_bytes",
            INT,
            100,
            "up to so many random bytes are put before the body, where no reader sees them, so that a length tells no secret of it (BREACH)",
            most=MOST_PADDING,
        ),
    ],
)


class Compression:
    """A WSGI application that compresses what *app* answers.

    Compressed is a 2xx, 4xx or 5xx response to a request that accepts one of *codings*, of one of
    *types*, without Content-Encoding, Content-Range or `no-transform`, not shorter than *least_bytes*
    where its length is known.  text/event-stream is left alone.  The body is never held back: a block
    in, a block out.  Safe for threads and greenlets.
    """

    is_step = is_shaping = True
    at_end = None
    _coders: dict[str, Coder]

    def __init__(
        self,
        app: WSGIApplication,
        *,
        level: int = 6,
        quality: int = 5,
        codings: Iterable[str] = (),
        least_bytes: int = 500,
        types: Iterable[str] = TYPES,
        padding_bytes: int = 100,
    ) -> None:
        steps: tuple[Callable[[], Any], ...] = (
            partial(find_coders, codings, setting="codings"),
            partial(_check_number, "level", level, 1, 9),
            partial(_check_number, "quality", quality, 0, 11),
            partial(_check_number, "padding_bytes", padding_bytes, 0, MOST_PADDING),
            partial(_check_number, "least_bytes", least_bytes, 0, LARGEST_SIZE),
            partial(_check_types, types),
        )
        self._coders, *_ = gather(steps)
        self.app = app
        self._strength = Strength(level, quality, padding_bytes)
        words = {word.lower() for word in types}
        self._kinds = tuple(word[:-1] for word in words if word.endswith("/*"))
        self._types = frozenset(words)
        is_text = Memo(self._is_of_types, 256)
        choose = Memo(self._find_coding, 512)
        encodings = Encodings(least_bytes, is_text=is_text, choose=choose, compress=self._compress)
        self.enter = encodings.enter
        self._steps = Steps((self,))

    @property
    def codings(self) -> tuple[str, ...]:
        """The codings that it makes, the preferred first."""
        return tuple(self._coders)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request, compressed where that may and should be."""
        return self._steps.run(self.app, environ, start_response)

    def _compress(self, passage: Passage, coding: str) -> None:
        passage.headers = _as_coded(passage.headers, coding)
        passage.recoding = self._coders[coding](self._strength)

    def _find_coding(self, accepted: str | None) -> str:
        return find_coding(accepted, self.codings)

    def _is_of_types(self, content_type: str) -> bool:
        media = content_type.partition(";")[0].strip().lower()
        if media == "text/event-stream":
            return False
        return media in self._types or media.startswith(self._kinds or "\0")


def _check_number(name: str, number: int, least: int, most: int) -> None:
    if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= most:
        raise SettingError(f"{name}: {number!r:.80} is not a number from {least} to {most}")


def _check_types(types: Iterable[str]) -> None:
    if isinstance(types, str):
        raise SettingError(f"types: {types!r:.80} is one text, expected a list of media types")
    wrong = [word for word in types if not isinstance(word, str) or not MEDIA_TYPE.fullmatch(word)]
    if wrong:
        raise SettingError(
            *(f"types: {word!r:.80} is not a media type such as text/html or text/*" for word in wrong)
        )


def _as_coded(headers: Headers, coding: str) -> Headers:
    """Return the fields of the compressed form.  RFC 9110 §8.8.3.3: its ETag is another's, or weak."""
    kept = []
    for name, value in headers:
        low = name.lower()
        if low == "etag" and not value.startswith("W/"):
            kept.append((name, "W/" + value))
        elif low not in ("content-length", "accept-ranges"):
            kept.append((name, value))
    return [*kept, ("Content-Encoding", coding)]


def for_others(settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what other components of a stack have to know: the page cache, which forms a page has.

    Raises SettingError for codings that cannot be made.
    """
    return {"page_cache": {"codings": tuple(find_coders(settings.get("codings", ()), setting="codings"))}}


make = Compression
