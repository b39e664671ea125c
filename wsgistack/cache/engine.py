"""`PageCacheEngine`: what is to be done with a request, and with the response to it.  RFC 9111

The engine looks at nothing but its arguments; who carries it out (an edge) does as follows:

1. find the pages that are stored for the URL, and give them to `on_request`;
2. Serve: send the reply, and if `refresh` is there, do that afterwards for nobody.
   Pass, Fetch, Validate: send the request on, with `changes` made to its fields;
3. give the head of the response to `on_response`, and do as it says; if there was no response, ask
   `on_failure` whether a page may stand in.
"""

from __future__ import annotations

from collections.abc import Sequence

from wsgistack.cache import status
from wsgistack.cache.answers import (
    NO_CONDITIONS,
    WHOLE,
    AfterRequest,
    AfterResponse,
    Changes,
    Fetch,
    Pass,
    Serve,
    Trip,
    Validate,
)
from wsgistack.cache.head import ResponseHead
from wsgistack.cache.intake import take_in
from wsgistack.cache.invalidation import SAFE_METHODS
from wsgistack.cache.page import EMPTY_TYPE, Page, Reply, make_hit, make_reply
from wsgistack.cache.policy import Policy
from wsgistack.cache.status import Forwarded
from wsgistack.cache.validation import validators_of
from wsgistack.http.cache_control import Directives, parse_cache_control
from wsgistack.http.conditional import is_strong
from wsgistack.http.request import RequestView

__all__ = ["PageCacheEngine"]

ERRORS = frozenset((500, 502, 503, 504))  # RFC 5861 §4
CONDITIONAL_ON_THE_ORIGIN = ("if-match", "if-unmodified-since")  # a cache does not judge: RFC 9111 §4.3.2


class PageCacheEngine:
    """The rules of one profile.  Pure; safe everywhere."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        changes: Changes = {} if policy.obeys_clients else NO_CONDITIONS
        self._changes_of_miss = changes
        # Of all requests for what is not there: which of the two is all that differs.
        self._uri_miss, self._vary_miss = Fetch("uri-miss", changes), Fetch("vary-miss", changes)

    def on_plain_request(self, pages: Sequence[Page], now: float) -> Reply | None:
        """Return the reply to a GET that has none of signs.ASKING_FIELDS, None for `on_request` to decide.

        It never says anything else than `on_request`, only sooner.
        """
        return make_hit(pages[0], now) if len(pages) == 1 else None

    def on_request(
        self, request: RequestView, pages: Sequence[Page], now: float, *, has_variants: bool = False
    ) -> AfterRequest:
        """Return what to do with a request.

        *pages*: what is stored for its URL and fits its selecting fields.  *has_variants*: something
        is stored that does not fit.
        """
        method = request.method
        if method not in ("GET", "HEAD"):
            return Pass("method")
        asked = parse_cache_control(request.field("cache-control"))
        for name in CONDITIONAL_ON_THE_ORIGIN:
            if request.field(name) is not None:
                return Fetch("request", {})
        page = max(pages, key=_newest) if pages else None
        if page is not None:
            decision = self._from_page(request, asked, page, now)
            if decision is not None:
                return decision
        if "only-if-cached" in asked:  # RFC 9111 §5.2.1.7
            return Serve(_gateway_timeout())
        if page is None:
            return self._vary_miss if has_variants else self._uri_miss
        return self._ask(request, asked, page, now)

    def _from_page(self, request: RequestView, asked: Directives, page: Page, now: float) -> Serve | None:
        """Return a reply out of the page, None where the page may not be used without asking."""
        terms = page.terms
        if terms.asks_always:
            return None
        freshness = terms.freshness(now)
        if self.policy.obeys_clients and asked and not _suits(asked, terms.age(now), freshness):
            return None
        refresh: Fetch | Validate | None = None
        if freshness <= 0:
            if terms.never_stale:
                return None
            if -freshness < terms.while_revalidate_s:
                refresh = self._ask_in_background(page)
            elif not (self.policy.obeys_clients and _accepts_stale(asked, -freshness)):
                return None
        reply = make_reply(page, request, age=terms.age(now), cache_status=status.hit(freshness))
        return None if reply is None else Serve(reply, refresh)

    def _ask(self, request: RequestView, asked: Directives, page: Page, now: float) -> Fetch | Validate:
        """Return how to ask the origin where *page* is there but does not do."""
        is_fresh = page.terms.freshness(now) > 0 and not page.terms.asks_always
        may_stand_in = not (self.policy.obeys_clients and "no-cache" in asked)
        if page.head.status == 206:
            return self._ask_for_rest(request, page)
        why: Forwarded = "request" if is_fresh else "stale"
        validators = validators_of(page.head)
        if not validators or request.method == "HEAD":
            return Fetch(why, self._changes_of_miss, page, may_stand_in)
        return Validate(why, _ask_if_changed(validators), page, may_stand_in)

    def _ask_for_rest(self, request: RequestView, page: Page) -> Fetch:
        """Ask for what a stored part lacks, when it is the beginning.  RFC 9111 §3.3"""
        part = page.part
        wants_all = request.field("range") is None and request.method == "GET"
        if not wants_all or part is None or part.complete is None or part.span.first:
            return Fetch("partial", self._changes_of_miss, page)
        changes: dict[str, str | None] = {"range": f"bytes={part.span.last + 1}-"}
        if is_strong(page.etag):
            changes["if-range"] = page.etag
        return Fetch("partial", {**WHOLE, **changes}, page)

    def _ask_in_background(self, page: Page) -> Fetch | Validate:
        validators = validators_of(page.head)
        if validators:
            return Validate("stale", _ask_if_changed(validators), page, False)
        return Fetch("stale", WHOLE, page)

    def on_failure(
        self,
        request: RequestView,
        sent: Fetch | Validate | Pass,
        now: float,
        *,
        status_met: int | None = None,
    ) -> Serve | None:
        """Return a stale answer for an origin that failed, None where none is allowed.  §4.2.4, RFC 5861 §4

        *status_met*: the error that it answered, None where it did not answer.
        """
        if isinstance(sent, Pass) or sent.page is None or not sent.may_stand_in:
            return None
        page, terms = sent.page, sent.page.terms
        staleness = -terms.freshness(now)
        grace = terms.if_down_s if status_met is None else terms.if_error_s
        if staleness > 0 and (terms.never_stale or staleness >= grace):
            return None
        text = status.forwarded(
            sent.why, status=status_met, ttl_s=-staleness, detail="" if status_met else "origin-failed"
        )
        reply = make_reply(page, request, age=terms.age(now), cache_status=text)
        return None if reply is None else Serve(reply)

    def on_response(self, trip: Trip, head: ResponseHead, now: float) -> AfterResponse:
        """Return what to do with the head of the response that *trip* brought, at *now*."""
        sent = trip.sent
        if not isinstance(sent, Pass) and head.status in ERRORS and trip.request.method in SAFE_METHODS:
            stale = self.on_failure(trip.request, sent, now, status_met=head.status)
            if stale is not None:
                return stale
        return take_in(trip, head, now, self.policy)


def _ask_if_changed(validators: dict[str, str]) -> Changes:
    return {**WHOLE, **validators}


def _newest(page: Page) -> tuple[float, float]:
    """Of several that fit, the one with the newest Date.  RFC 9111 §4"""
    return (page.terms.received_at - page.terms.initial_age_s, page.terms.received_at)


def _suits(asked: Directives, age: float, freshness: float) -> bool:
    """Tell whether a page is as fresh as the client wants.  RFC 9111 §5.2.1"""
    if "no-cache" in asked:
        return False
    most, least = asked.seconds("max-age"), asked.seconds("min-fresh")
    return (most is None or age <= most) and (least is None or freshness >= least)


def _accepts_stale(asked: Directives, staleness: float) -> bool:
    """Tell whether max-stale, with or without a number, allows it.  RFC 9111 §5.2.1.2"""
    if "max-stale" not in asked:
        return False
    return asked.stands_alone("max-stale") or staleness <= (asked.seconds("max-stale") or 0)


def _gateway_timeout() -> Reply:
    told = ("Cache-Status", f"{status.CACHE_NAME}; detail=only-if-cached")
    fields = [("Content-Length", "0"), EMPTY_TYPE, told]
    return Reply(504, "Gateway Timeout", fields, b"")
