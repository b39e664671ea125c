"""Requests for one page that nobody has yet: one makes it, the others take it as it comes.  PEP 3333

Who follows takes over what its leader may share with everybody, by the same rules as if it came from
the store; where it may not, or does not come, it goes alone.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from wsgistack.cache.answers import AfterResponse, Drop, Fetch, Keep, Refetch, Refresh, Serve, Validate
from wsgistack.cache.coalesce import Coalescer, Flight, Lease, Left, Stage, Taken, beside
from wsgistack.cache.page import Page, Reply
from wsgistack.cache.resumed import gone_on
from wsgistack.cache.status import forwarded
from wsgistack.cache.turn import Turn
from wsgistack.cache.vary import selecting_of
from wsgistack.wsgi import StartResponse

if TYPE_CHECKING:
    from wsgistack.cache.visit import Visit

__all__ = ["COLLAPSED", "REMEMBERED", "may_share", "send_together", "settle"]

# Why a request goes to the application so that others may have waited for the same.
COLLAPSED = frozenset(("uri-miss", "vary-miss", "stale"))
# Refusals that are about the page, not about one request: the next response will be refused too.
REMEMBERED = frozenset(
    (
        "authorization",
        "file",
        "no-lifetime",
        "no-store",
        "private",
        "set-cookie",
        "status",
        "too-large",
        "vary-star",
    )
)
ALONE = (Taken(Lease.OURS), "")  # no other process makes the same pages: there is no lease
OF_ITS_OWN = ("range", "if-none-match", "if-modified-since", "if-range")

log = logging.getLogger("wsgistack.cache")


def may_share(page: Page, now: float) -> bool:
    """Tell whether others may have the page without asking the application."""
    return not page.terms.asks_always and page.terms.freshness(now) > 0


def settle(visit: Visit, answer: AfterResponse | None) -> None:
    """Tell those who wait for the page of *visit* what they may have; None: nothing will come."""
    turn, works = visit.turn, visit.works
    if turn is None or isinstance(answer, Refetch):
        return
    if isinstance(answer, Keep):
        if not may_share(answer.page, works.now()):
            turn.refuse(remember=True)
        elif not works.shelf.is_down and not works.shelf.may_put(visit.place, answer.page, visit.ticket):
            turn.refuse(remember=False)  # it may be of before a change that nobody here could see
        elif works.verification is None:  # else who waits gets what was compared, and all of it
            turn.share(answer.page)
    elif isinstance(answer, Refresh) and isinstance(answer.reply, Reply) and answer.page is not None:
        turn.share(answer.page)
        turn.add(answer.page.body)
        turn.complete()
    elif isinstance(answer, Drop):
        turn.refuse(remember=answer.why in REMEMBERED)
    elif answer is None:
        turn.over()
    else:
        turn.refuse(remember=False)


def send_together(
    visit: Visit,
    decision: Fetch | Validate,
    start_response: StartResponse,
    coalescer: Coalescer[Page],
    happened: int,
    *,
    is_again: bool = False,
) -> Iterable[bytes]:
    """Return the response: of the application if this is the first who asks, else what that one gets.

    *happened*: what `coalescer.happened` was before the look that led to *decision*.
    *is_again*: who it followed stopped in the middle.
    """
    key = visit.place.key.text
    deadline = time.monotonic() + coalescer.wait_s
    while True:
        joined = coalescer.join(key)
        if joined is None:
            if decision.why == "uri-miss":
                coalescer.note(key, is_empty=True)
                visit.is_alone = True
            return visit.send(decision, start_response)
        flight, leads = joined
        if leads:
            return _lead(visit, decision, start_response, coalescer, flight, happened)
        is_current = coalescer.is_current(flight, happened, visit.found.signs(visit.place))
        if not is_current or visit.works.shelf.is_of_before(visit.place, flight.moment):
            coalescer.drop(key, flight)
            continue
        seconds = max(deadline - time.monotonic(), 0.0)
        anew = partial(_ask_again, visit, decision, coalescer, None if is_again else flight, happened)
        body = _follow(visit, decision, start_response, flight, seconds, anew)
        if body is not None:
            return body
        if flight.stage is not Stage.LOST or time.monotonic() >= deadline:
            return visit.send(decision, start_response)
        happened = coalescer.happened
        again = visit.look()
        if isinstance(again, Serve):
            return visit.serve(again, start_response)


def _lead(
    visit: Visit,
    decision: Fetch | Validate,
    start_response: StartResponse,
    coalescer: Coalescer[Page],
    flight: Flight[Page],
    happened: int,
) -> Iterable[bytes]:
    key = visit.place.key.text
    turn = Turn(coalescer, key, flight)
    try:
        # Beside another leader of this process, who may hold the lease, nothing is agreed upon.
        is_agreed = coalescer.is_for_fleet and not flight.is_another
        taken, name = _agree(visit, decision, coalescer) if is_agreed else ALONE
        lease = taken.lease if isinstance(taken, Taken) else None
        if lease is Lease.OURS and name:
            turn = Turn(coalescer, key, flight, lease=name)
        if isinstance(taken, Taken) and name == key:
            visit.hold = taken.hold
        if lease is Lease.REFUSED:
            turn.refuse(remember=True)
            return visit.send(decision, start_response)
        # It may have come before the turn was ours: who made it gave the lease back after storing it.
        found = taken if isinstance(taken, Serve) else None
        is_proven = lease is Lease.OURS and name == key
        if found is None and not is_proven and coalescer.may_have_come(happened) and _may_find_more(visit):
            found = _serve(visit)
        if found is not None:
            turn.over()
            return visit.serve(found, start_response)
        visit.turn = turn
        return visit.send(decision, start_response)
    except BaseException:
        turn.over()
        raise


def _may_find_more(visit: Visit) -> bool:
    """Tell whether another look may find what the last one did not; one page or none is known by what lies there."""
    found, shelf = visit.found, visit.works.shelf
    if not shelf.is_shared or found.raw is None or found.has_variants or found.generals:
        return True
    visit.hold = shelf.hold(visit.place, found)
    return visit.hold.raw != found.raw


def _agree(visit: Visit, decision: Fetch | Validate, coalescer: Coalescer[Page]) -> tuple[Serve | Taken, str]:
    """Return what other processes leave to do, and the name of the lease."""
    key = visit.place.key.text
    name = key if decision.why == "uri-miss" else beside(key)
    taken = _take(visit, coalescer, name)
    if isinstance(taken, Serve) or taken.lease is not Lease.STORED or name != key:
        return taken, name
    found = _serve(visit)
    if found is not None:
        return found, name
    name = beside(key)  # what lies there is of no use to us: purged, or for others
    return _take(visit, coalescer, name), name


def _take(visit: Visit, coalescer: Coalescer[Page], name: str) -> Serve | Taken:
    """Return a lease, or what another process made while it had that."""
    taken = coalescer.take_lease(name)
    return coalescer.wait_for_fleet(name, lambda: _serve(visit)) if taken.lease is Lease.OTHERS else taken


def _serve(visit: Visit) -> Serve | None:
    decision = visit.look()
    return decision if isinstance(decision, Serve) else None


def _ask_again(
    visit: Visit,
    decision: Fetch | Validate,
    coalescer: Coalescer[Page],
    flight: Flight[Page] | None,
    happened: int,
    start_response: StartResponse,
) -> Iterable[bytes]:
    """Return another response for one who followed *flight*, which stopped; None: the second one, he goes alone now."""
    if flight is None:
        return visit.send(decision, start_response)
    flight.give_up()
    return send_together(visit, decision, start_response, coalescer, happened, is_again=True)


def _follow(
    visit: Visit,
    decision: Fetch | Validate,
    start_response: StartResponse,
    flight: Flight[Page],
    seconds: float,
    again: Callable[[StartResponse], Iterable[bytes]],
) -> Iterable[bytes] | None:
    """Return what the leader gets, None where that may not be had or does not come; *again*: if it stops in the middle."""
    flight.wait(seconds)
    page = flight.head
    if page is None or flight.stage not in (Stage.SHARED, Stage.COMPLETE) or not _fits(visit, page):
        return None
    if not _is_plain(visit, page):
        body = flight.wait_for_all(seconds)
        found = None if body is None else visit.decide(page.with_body(body))
        if not isinstance(found, Serve):
            return None
        return visit.serve(Serve(_collapsed(found.reply, decision)), start_response)
    blocks = flight.blocks(seconds)
    try:
        first = next(blocks, b"")
    except Left:
        return None
    reply = _collapsed(Reply(page.head.status, page.head.reason, list(page.ready), b""), decision)
    status = f"{reply.status} {reply.reason}"
    start_response(status, reply.fields)
    return gone_on(status, reply.fields, chain((first,), blocks), again)


def _fits(visit: Visit, page: Page) -> bool:
    names = tuple([name for name, _ in page.selecting])
    field, reorders = visit.request.field, visit.works.engine.policy.reorders_lists
    return selecting_of(names, field, reorders=reorders) == page.selecting and isinstance(
        visit.decide(page), Serve
    )


def _is_plain(visit: Visit, page: Page) -> bool:
    """Tell whether all that comes can be passed on as it comes: it is wanted whole, and will be kept."""
    announced = page.head.field("content-length")
    return (
        announced is not None
        and page.head.status != 206
        and all(visit.request.field(name) is None for name in OF_ITS_OWN)
    )


def _collapsed(reply: Reply, decision: Fetch | Validate) -> Reply:
    fields = [(name, value) for name, value in reply.fields if name != "Cache-Status"]
    added = ("Cache-Status", forwarded(decision.why, stored=True, collapsed=True))
    return Reply(reply.status, reply.reason, [*fields, added], reply.body)
