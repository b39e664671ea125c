"""Byte ranges: what a request asks for, what a response holds.  RFC 9110 §14"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["ContentRange", "Span", "parse_content_range", "resolve_range"]

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
