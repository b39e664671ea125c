"""Which responses are compressed, and how: what `compression` does for every request.

The compiled twin is in `wsgistack.chore_cy`, with those of the other chores.
"""

from __future__ import annotations

from collections.abc import Callable

from wsgistack.passage import Passage
from wsgistack.wsgi import Environ, Headers, text_of

__all__ = ["UNCHANGED", "VARY", "Encodings", "combined", "is_final", "varies"]

VARY = ("Vary", "Accept-Encoding")
UNCHANGED = frozenset(("204", "205", "206", "304"))


class Encodings:
    """Decides whether a response is compressed, for `compression`.

    *is_text(content type)*: whether it is one of the types.  *choose(accept-encoding)*: the coding that the
    client takes, "identity" for none.  *compress(passage, coding)*: lets the response be compressed.
    """

    __slots__ = ("_choose", "_compress", "_is_text", "_least_bytes")

    def __init__(
        self,
        least_bytes: int,
        *,
        is_text: Callable[[str], bool],
        choose: Callable[[str | None], str],
        compress: Callable[[Passage, str], object],
    ) -> None:
        self._least_bytes = least_bytes
        self._is_text = is_text
        self._choose = choose
        self._compress = compress

    def enter(self, environ: Environ, passage: Passage, /) -> None:
        """Ask for the head."""
        passage.shape = self.shape

    def shape(self, passage: Passage, /) -> None:
        """Decide, now that the head is known."""
        fields, headers = passage.fields, passage.headers
        if not self._is_text(fields.get("content-type", "")) or not self._wants(
            passage.head, fields, headers
        ):
            return
        if "vary" not in fields or not varies(headers):
            headers.append(VARY)
        if text_of(passage.environ, "REQUEST_METHOD") != "HEAD":
            coding = self._choose(text_of(passage.environ, "HTTP_ACCEPT_ENCODING"))
            if coding != "identity":
                self._compress(passage, coding)

    def _wants(self, status: str, fields: dict[str, str], headers: Headers) -> bool:
        """Tell whether a response of that head, of one of the types, is compressed at all."""
        if status[:3] in UNCHANGED or status[:1] in "13":
            return False
        if "content-encoding" in fields or "content-range" in fields:
            return False
        length = fields.get("content-length", "")
        if length.isdecimal() and int(length) < self._least_bytes:
            return False
        return "cache-control" not in fields or not is_final(headers)


def varies(headers: Headers) -> bool:
    """Tell whether a response is said to vary by the codings that are taken."""
    told = [word.strip() for word in combined(headers, "vary").split(",")]
    return "accept-encoding" in told or "*" in told


def is_final(headers: Headers) -> bool:
    """Tell whether a response is not to be changed on its way.  RFC 9111 §5.2.2.6"""
    return "no-transform" in combined(headers, "cache-control")


def combined(headers: Headers, name: str) -> str:
    """Return the combined value of a field, in lower case.  RFC 9110 §5.3"""
    return ",".join([value for key, value in headers if key.lower() == name]).lower()
