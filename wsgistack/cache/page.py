"""A stored response as the rules see it, and the replies that are made of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from wsgistack.cache.freshness import Terms
from wsgistack.cache.head import ResponseHead
from wsgistack.cache.status import hit
from wsgistack.cache.vary import Selecting
from wsgistack.http.conditional import OF_CONTENT, evaluate, range_applies
from wsgistack.http.dates import format_date, parse_date
from wsgistack.http.fields import Fields, without
from wsgistack.http.ranges import (
    ContentRange,
    Span,
    make_multipart,
    parse_content_range,
    resolve_range,
    resolve_ranges,
)
from wsgistack.http.request import RequestView

__all__ = ["WHOLE_BODIES", "Page", "Reply", "make_hit", "make_not_modified", "make_reply"]

BODYLESS = frozenset((204, 304))
WHOLE_BODIES = (list, tuple)  # of applications: all of it is there
# WSGI's validator wants a type wherever there may be a body (PEP 3333 itself does not).
EMPTY_TYPE = ("Content-Type", "text/plain; charset=utf-8")
# What a 304 tells: RFC 9110 §15.4.5.  Last-Modified only where there is no tag.
TOLD_BY_304 = frozenset(("cache-control", "content-location", "date", "etag", "expires", "vary"))


@dataclass(frozen=True, slots=True)
class Page:
    """A response that is stored, whole or a part of it (206).

    *selecting*: what the request that brought it said in the fields that it varies by.  *tags*: what
    it can be purged by.  *ready*: its fields as they go out, without Age and Cache-Status.
    *fresh_until*: until when `make_hit` answers a plain request with it, -inf if never.
    """

    head: ResponseHead
    terms: Terms
    selecting: Selecting = ()
    tags: tuple[str, ...] = ()
    body: bytes = b""
    ready: Fields = field(init=False)
    etag: str | None = field(init=False)
    fresh_until: float = field(init=False)

    def __post_init__(self) -> None:
        fields = list(without(self.head.fields, ("age",)))
        if self.head.field("date") is None:  # RFC 9110 §6.6.1
            fields.append(("Date", format_date(int(self.terms.received_at))))
        object.__setattr__(self, "ready", tuple(fields))
        object.__setattr__(self, "etag", self.head.field("etag"))
        terms = self.terms
        is_usable = not terms.asks_always and terms.lifetime_s is not None and self.head.status != 206
        until = terms.received_at - terms.initial_age_s + (terms.lifetime_s or 0.0)
        object.__setattr__(self, "fresh_until", until if is_usable else -math.inf)

    @property
    def part(self) -> ContentRange | None:
        """Which part of the whole it is, None where it is the whole."""
        return (
            parse_content_range(self.head.field("content-range") or "") if self.head.status == 206 else None
        )

    def with_body(self, body: bytes) -> Page:
        """Return the same with the body that has come meanwhile; a whole one gets its length."""
        head = self.head
        if head.field("content-length") is None and head.status not in BODYLESS:
            head = head.with_fields((*head.fields, ("Content-Length", str(len(body)))))
            return replace(self, head=head, body=body)
        # Nothing that is made of the head changes: `replace` takes 5 times as long.
        made = object.__new__(Page)
        for name in Page.__slots__:
            object.__setattr__(made, name, body if name == "body" else getattr(self, name))
        return made


class Reply(NamedTuple):
    """What goes to the client; *body* is empty for HEAD and 304."""

    status: int
    reason: str
    fields: list[tuple[str, str]]
    body: bytes


def make_hit(page: Page, now: float) -> Reply | None:
    """Return what a fresh page answers to a GET that asks for nothing else, None where it is not fresh.

    This is what `make_reply` would give to a request without conditions, range and Cache-Control.
    """
    terms = page.terms
    left = page.fresh_until - now
    if left <= 0.0 or now < terms.received_at:
        return None
    age = ("Age", str(int(terms.initial_age_s + now - terms.received_at)))
    return Reply(
        page.head.status, page.head.reason, [*page.ready, age, ("Cache-Status", hit(left))], page.body
    )


def make_reply(page: Page, request: RequestView, *, age: float, cache_status: str) -> Reply | None:
    """Return what *page* answers to a GET or HEAD: 200 (or what it is), 206, 304 or 416.

    None where a part is stored and the request wants more than that.
    """
    added = [("Age", str(int(age))), ("Cache-Status", cache_status)]
    if _is_not_modified(page, request):
        return Reply(304, "Not Modified", [*_fields_of_304(page), *added], b"")
    asked = request.field("range") if request.method == "GET" else None
    if page.head.status == 206:
        return _from_part(page, request, asked, added)
    if asked is not None and page.head.status == 200 and _range_applies(page, request):
        spans = resolve_ranges(asked, len(page.body))
        if spans is False:
            length = [("Content-Range", f"bytes */{len(page.body)}"), ("Content-Length", "0")]
            return Reply(416, "Range Not Satisfiable", [*length, EMPTY_TYPE, *added], b"")
        reply = _parts(page, spans, added) if isinstance(spans, list) else None
        if reply is not None:
            return reply
    body = page.body if request.method == "GET" else b""
    return Reply(page.head.status, page.head.reason, [*page.ready, *added], body)


def _is_not_modified(page: Page, request: RequestView) -> bool:
    none_match, since = request.field("if-none-match"), request.field("if-modified-since")
    if (none_match is None and since is None) or page.head.status not in (200, 206):
        return False
    head = page.head
    date = parse_date(head.field("date") or "") or int(page.terms.received_at)
    return (
        evaluate(
            none_match=none_match,
            modified_since=since,
            etag=page.etag,
            last_modified=head.field("last-modified"),
            date=date,
        )
        == 304
    )


def make_not_modified(head: ResponseHead, request: RequestView) -> Reply | None:
    """Return the 304 for a client that has the response already that is not kept, None for any other.

    The application was not shown the client's conditions, in case its answer would be kept.
    """
    none_match, modified_since = request.field("if-none-match"), request.field("if-modified-since")
    if head.status != 200 or none_match is modified_since is None:
        return None
    status = evaluate(
        none_match=none_match,
        modified_since=modified_since,
        etag=head.field("etag"),
        last_modified=head.field("last-modified"),
        date=None,
    )
    if status != 304:
        return None
    return Reply(304, "Not Modified", list(without(head.fields, OF_CONTENT)), b"")


def _fields_of_304(page: Page) -> Fields:
    told = TOLD_BY_304 if page.etag is not None else TOLD_BY_304 | {"last-modified"}
    return tuple([(name, value) for name, value in page.ready if name.lower() in told])


def _range_applies(page: Page, request: RequestView) -> bool:
    return range_applies(
        request.field("if-range"), etag=page.etag, last_modified=page.head.field("last-modified")
    )


def _from_part(
    page: Page, request: RequestView, asked: str | None, added: list[tuple[str, str]]
) -> Reply | None:
    part = page.part
    if asked is None or part is None or part.complete is None or not _range_applies(page, request):
        return None
    span = resolve_range(asked, part.complete)
    if not isinstance(span, Span) or span.first < part.span.first or span.last > part.span.last:
        return None
    start = span.first - part.span.first
    return _slice(page, page.body[start : start + span.length], span, part.complete, added)


def _parts(page: Page, spans: list[Span], added: list[tuple[str, str]]) -> Reply | None:
    """Return one part of a whole page, or several with a head for each; None where that is longer.  RFC 9110 §15.3.7"""
    if len(spans) == 1:
        (span,) = spans
        return _slice(page, page.body[span.first : span.last + 1], span, len(page.body), added)
    content_type, body = make_multipart(page.body, spans, page.head.field("content-type"))
    if len(body) >= len(page.body):  # its type is a long one
        return None
    fields = [
        *without(page.ready, ("content-length", "content-type")),
        ("Content-Type", content_type),
        ("Content-Length", str(len(body))),
        *added,
    ]
    return Reply(206, "Partial Content", fields, body)


def _slice(page: Page, body: bytes, span: Span, complete: int, added: list[tuple[str, str]]) -> Reply:
    fields = [
        *without(page.ready, ("content-length", "content-range")),
        ("Content-Range", f"bytes {span.first}-{span.last}/{complete}"),
        ("Content-Length", str(len(body))),
        *added,
    ]
    return Reply(206, "Partial Content", fields, body)
