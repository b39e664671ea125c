"""Byte ranges: what a request asks for, what a response holds.  RFC 9110 §14"""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

__all__ = [
    "ContentRange",
    "Span",
    "make_multipart",
    "parse_content_range",
    "resolve_range",
    "resolve_ranges",
]

# More than a reader of PDF asks for at once; §14.2 lets a server ignore many small ranges.
MOST_RANGES = 32
# About what stands before each part, so that gaps below that are better filled: §14.6.
PART_BYTES = 100

RANGE = re.compile(
    r"[ \t]*bytes[ \t]*=[ \t]*(?:([0-9]{1,18})-([0-9]{1,18})?|-([0-9]{1,18}))[ \t]*", re.IGNORECASE
)
CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)", re.IGNORECASE)


class Span(NamedTuple):
    """Bytes from *first* to *last*, both included."""

    first: int
    last: int

    @property
    def length(self) -> int:
        """How many bytes it has."""
        return self.last - self.first + 1


class ContentRange(NamedTuple):
    """What a 206 holds: *span* of a representation of *complete* bytes (None: unknown)."""

    span: Span
    complete: int | None


def resolve_range(value: str, length: int) -> Span | bool | None:
    """Return the span of a representation of *length* bytes that a Range field means.

    None: the field is to be ignored (another unit, several ranges, or no range at all), so that the
    whole is the answer; §14.2 allows that.  False: nothing of it can be satisfied, 416.

    >>> resolve_range("bytes=-5", 11), resolve_range("bytes=99-", 11), resolve_range("lines=1-2", 11)
    (Span(first=6, last=10), False, None)
    """
    found = RANGE.fullmatch(value)
    if found is None:
        return None
    if found[3] is not None:
        suffix = min(int(found[3]), length)
        return Span(length - suffix, length - 1) if suffix else False
    first = int(found[1])
    last = length - 1 if found[2] is None else min(int(found[2]), length - 1)
    if found[2] is not None and int(found[2]) < first:
        return None  # invalid, §14.1.1
    return Span(first, last) if first < length else False


def resolve_ranges(value: str, length: int) -> list[Span] | bool:
    """Return the spans of a representation of *length* bytes that a Range field means, in its order.

    They do not overlap, and together with what stands between them are shorter than the whole: who asks
    for the same bytes many times over (CVE-2011-3192) gets them once.  Those that are near each other
    are one.  True: the field is to be ignored (see `resolve_range`, or more than MOST_RANGES), so that
    the whole is the answer.  False: nothing of it can be satisfied, 416.

    >>> resolve_ranges("bytes=0-9, -10", 1000), resolve_ranges("bytes=5-,2-8", 1000)
    ([Span(first=0, last=9), Span(first=990, last=999)], [Span(first=2, last=999)])
    """
    unit, equals, texts = value.partition("=")
    members = [text for text in texts.split(",", MOST_RANGES - 1) if text.strip(" \t")]
    if len(members) < 2:
        found = resolve_range(unit + equals + "".join(members), length)
        return [found] if isinstance(found, Span) else found is None
    spans: list[Span] = []
    for member in members:  # the last one has the rest where there are too many
        span = resolve_range(f"{unit}={member}", length)
        if span is None:
            return True
        if isinstance(span, Span):
            _add(spans, span)
    needed = sum([span.length + PART_BYTES for span in spans])
    if len(spans) > 1 and needed >= length:
        return True
    return spans or False


def _add(spans: list[Span], span: Span) -> None:
    """Put *span* to *spans*, one with those that it touches; in the place of the first of these."""
    near = [
        one for one in spans if one.first - PART_BYTES <= span.last and span.first - PART_BYTES <= one.last
    ]
    place = spans.index(near[0]) if near else len(spans)
    together = [span, *near]
    spans[:] = [one for one in spans if one not in near]
    spans.insert(place, Span(min(one.first for one in together), max(one.last for one in together)))


def make_multipart(body: bytes, spans: Sequence[Span], content_type: str | None) -> tuple[str, bytes]:
    """Return the Content-Type and the content of a 206 that holds several parts of *body*.  §14.6

    What separates them is a hash of what is sent, which nobody can put into it.
    """
    parts = [body[span.first : span.last + 1] for span in spans]
    boundary = blake2b(b"".join(parts), digest_size=16).hexdigest()
    kind = "" if content_type is None else f"Content-Type: {content_type}\r\n"
    blocks = []
    for span, part in zip(spans, parts, strict=True):
        head = f"--{boundary}\r\n{kind}Content-Range: bytes {span.first}-{span.last}/{len(body)}\r\n\r\n"
        blocks += [head.encode("latin-1"), part, b"\r\n"]
    blocks.append(f"--{boundary}--\r\n".encode())
    return f"multipart/byteranges; boundary={boundary}", b"".join(blocks)


def parse_content_range(value: str) -> ContentRange | None:
    """Return what a Content-Range of a 206 says, None where it is no such thing.  §14.4

    >>> parse_content_range("bytes 0-4/10")
    ContentRange(span=Span(first=0, last=4), complete=10)
    """
    found = CONTENT_RANGE.fullmatch(value.strip(" \t"))
    if found is None:
        return None
    span = Span(int(found[1]), int(found[2]))
    complete = None if found[3] == "*" else int(found[3])
    if span.last < span.first or (complete is not None and span.last >= complete):
        return None
    return ContentRange(span, complete)
