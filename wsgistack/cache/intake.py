"""What becomes of a response: kept, merged into what is stored, put to it, or let go.  RFC 9111 §3, §4.3"""

from __future__ import annotations

from dataclasses import replace

from wsgistack.cache import status
from wsgistack.cache.answers import (
    WHOLE,
    Drop,
    Fetch,
    Invalidation,
    Keep,
    Pass,
    Refetch,
    Refresh,
    Trip,
    Validate,
)
from wsgistack.cache.freshness import Terms, make_terms
from wsgistack.cache.head import ResponseHead
from wsgistack.cache.invalidation import (
    SAFE_METHODS,
    changes_something,
    groups_of,
    groups_to_invalidate,
    urls_to_invalidate,
)
from wsgistack.cache.page import Page, make_reply
from wsgistack.cache.policy import Policy
from wsgistack.cache.status import Forwarded
from wsgistack.cache.storing import fields_to_store, find_refusal, is_for_one, says_nothing
from wsgistack.cache.validation import is_about, merge_fields, same_representation
from wsgistack.cache.vary import names_of, selecting_of
from wsgistack.http.conditional import same_strong
from wsgistack.http.fields import without
from wsgistack.http.ranges import parse_content_range

__all__ = ["take_in"]


def take_in(trip: Trip, head: ResponseHead, now: float, policy: Policy) -> Keep | Refresh | Refetch | Drop:
    """Return what to do with the response *head* that came at *now*."""
    sent, method = trip.sent, trip.request.method
    if method not in SAFE_METHODS:
        return _after_change(trip, head, now, policy)
    if isinstance(sent, Pass):
        return Drop("", _marked(head, status.forwarded(sent.why, detail=sent.detail)))
    if method == "HEAD":
        return _after_head(trip, sent, head, now, policy)
    if head.status == 304 and isinstance(sent, Validate):
        return _validated(trip, sent, head, now, policy)
    if head.status == 206 and sent.changes.get("range") is not None:
        return _completed(trip, sent, head, now, policy)
    return _kept(trip, sent.why, head, now, policy)


def _terms(trip: Trip, head: ResponseHead, now: float, policy: Policy) -> Terms:
    return make_terms(head, policy, asked_at=trip.asked_at, received_at=now, told=trip.told)


def _refusal(trip: Trip, head: ResponseHead, terms: Terms, policy: Policy) -> str | None:
    if trip.is_private:
        return "private"
    made = trip.has_made_tag
    return find_refusal(trip.request, head, terms, policy, target=trip.target, has_made_tag=made)


def _detail(trip: Trip, refusal: str) -> str:
    """Return what Cache-Status says of a refusal; who called `private` may have said why."""
    return f"private:{trip.private_why}" if trip.is_private and trip.private_why else refusal


def _kept(trip: Trip, why: Forwarded, head: ResponseHead, now: float, policy: Policy) -> Keep | Drop:
    """Keep the response if every rule allows it."""
    if _says_nothing(trip, head, policy):
        return _dropped(trip, why, head, "no-lifetime")
    terms = _terms(trip, head, now, policy)
    refusal = _refusal(trip, head, terms, policy)
    if refusal is not None:
        return _dropped(trip, why, head, refusal)
    page = Page(
        head.with_fields(fields_to_store(head, policy)),
        terms,
        selecting_of(
            names_of(head, is_coded=policy.is_coded), trip.request.field, reorders=policy.reorders_lists
        ),
        tuple(dict.fromkeys((*groups_of(head), *trip.tags))),
    )
    return Keep(page, _marked(head, status.forwarded(why, stored=True, ttl_s=terms.freshness(now))))


def _says_nothing(trip: Trip, head: ResponseHead, policy: Policy) -> bool:
    """Tell at a glance whether nobody says how long a page may be used, as of most; False: only a closer look tells."""
    if trip.is_private or trip.told.ttl_s is not None:
        return False
    return says_nothing(trip.request, head, policy, has_made_tag=trip.has_made_tag)


def _dropped(trip: Trip, why: Forwarded, head: ResponseHead, refusal: str) -> Drop:
    marked = _marked(head, status.refused(why, _detail(trip, refusal)))
    return Drop(refusal, marked, Invalidation() if _is_replaced(trip, refusal) else None)


def _is_replaced(trip: Trip, refusal: str) -> bool:
    """Tell whether what is stored gives way to a response that is kept nowhere but for its made tag."""
    is_for_its_tag = trip.has_made_tag and refusal == "no-lifetime"
    return is_for_its_tag and not isinstance(trip.sent, Pass) and trip.sent.page is not None


def _after_change(trip: Trip, head: ResponseHead, now: float, policy: Policy) -> Keep | Drop:
    """Return what an unsafe request leads to: what it changed is worthless, and a POST may bring a page."""
    method = trip.request.method
    worthless = None
    if changes_something(method, head.status):
        worthless = Invalidation(urls_to_invalidate(trip.target, head), groups_to_invalidate(method, head))
    kept = _kept(trip, "method", head, now, policy)
    return replace(kept, invalidates=worthless)


def _validated(
    trip: Trip, sent: Validate, head: ResponseHead, now: float, policy: Policy
) -> Refresh | Refetch:
    """Take in a 304 that answers our own question.  §4.3.3"""
    again = Refetch(Fetch(sent.why, WHOLE, sent.page))
    if not is_about(sent.page.head, head):
        return again
    page, refusal = _merged(trip, sent.page, head, now, policy)
    text = status.forwarded(
        sent.why,
        status=304,
        stored=refusal is None,
        ttl_s=page.terms.freshness(now),
        detail="" if refusal is None else _detail(trip, refusal),
    )
    reply = make_reply(page, trip.request, age=page.terms.age(now), cache_status=text)
    return again if reply is None else Refresh(page if refusal is None else None, reply)


def _merged(
    trip: Trip, page: Page, answer: ResponseHead, now: float, policy: Policy
) -> tuple[Page, str | None]:
    """Return the page with what *answer* says of it, and why it may be stored no longer (None: it may).  §3.2"""
    head = page.head.with_fields(merge_fields(without(page.head.fields, ("age", "date")), answer.fields))
    terms = _terms(trip, head, now, policy)
    names = names_of(head, is_coded=policy.is_coded)
    selecting = page.selecting
    if names != tuple([name for name, _ in selecting]):
        selecting = selecting_of(names, trip.request.field, reorders=policy.reorders_lists)
    refusal = None if trip.request.method == "HEAD" else _refusal(trip, head, terms, policy)
    return replace(page, head=head, terms=terms, selecting=selecting), refusal


def _after_head(
    trip: Trip, sent: Fetch | Validate, head: ResponseHead, now: float, policy: Policy
) -> Refresh | Drop:
    """Take in what a HEAD says of the page that a GET would get.  §4.3.5"""
    marked = _marked(head, status.forwarded(sent.why))
    page = sent.page
    if page is None or head.status != 200 or page.head.status != 200:
        return Drop("method", marked)
    if trip.is_private or is_for_one(
        trip.request, head, policy
    ):  # what is said to one is not to be told to all
        return Drop("method", marked)
    if not same_representation(page.head, head):
        return Refresh(replace(page, terms=replace(page.terms, asks_always=True, never_stale=True)), marked)
    return Refresh(_merged(trip, page, head, now, policy)[0], marked)


def _completed(
    trip: Trip, sent: Fetch | Validate, head: ResponseHead, now: float, policy: Policy
) -> Keep | Refetch:
    """Put the rest to what is stored, if both are of the same bytes.  §3.4, RFC 9110 §15.3.7.3"""
    page = sent.page
    complete = None if page is None else _complete_length(page, head)
    if page is None or complete is None:
        return Refetch(Fetch("partial", WHOLE))
    lengths = ("age", "date", "content-length", "content-range")
    fields = merge_fields(without(page.head.fields, lengths), head.fields)
    whole = ResponseHead(200, "OK", (*fields, ("Content-Length", str(complete))))
    terms = _terms(trip, whole, now, policy)
    text = status.forwarded("partial", status=206, stored=True, ttl_s=terms.freshness(now))
    return Keep(replace(page, head=whole, terms=terms, body=b""), _marked(whole, text), page.body)


def _complete_length(page: Page, answer: ResponseHead) -> int | None:
    """Return the length of the whole if *answer* is exactly what *page* lacks of it, else None."""
    part, rest = page.part, parse_content_range(answer.field("content-range") or "")
    if part is None or rest is None or part.complete is None or rest.complete != part.complete:
        return None
    if not same_strong(page.etag or "", answer.field("etag") or ""):
        return None
    is_the_rest = rest.span.first == part.span.last + 1 and rest.span.last + 1 == rest.complete
    return rest.complete if is_the_rest else None


def _marked(head: ResponseHead, text: str) -> ResponseHead:
    return head.with_fields((*head.fields, ("Cache-Status", text)))
