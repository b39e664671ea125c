"""`trace`: a decision of the cache, line by line, each with where its rule is written.  Engine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from wsgistack.cache.answers import AfterRequest, Fetch, Pass, Serve, Validate
from wsgistack.cache.found import Found, Place
from wsgistack.cache.guests import EVERYBODY
from wsgistack.cache.keys import REFUSALS, Target
from wsgistack.cache.page import Page
from wsgistack.cache.personal import Personal
from wsgistack.cache.rules import Rule

__all__ = ["trace_bypass", "trace_decision"]


def trace_bypass(why: Rule | Personal | str) -> list[str]:
    """Return the lines for a request that goes past the cache."""
    if isinstance(why, Rule):
        return [f"rule: {why.path} says bypass", "decision: past the cache"]
    if isinstance(why, Personal):
        return [f"visitor: personal, {why.why} (see personal.Visitors)", "decision: past the cache"]
    return [f"url: refused, {REFUSALS[why]}", "decision: past the cache"]


def trace_decision(
    place: Place, rule: Rule | None, found: Found, decision: AfterRequest, now: float
) -> list[str]:
    """Return the lines for a request that was looked up."""
    target: Target = place.target
    lines = [f"url: {target.url}, key {place.key.text}"]
    lines.append("visitor: anybody, profile rfc9111" if place.dimensions == EVERYBODY else _of_guest(place))
    if rule is not None:
        lines.append(f"rule: {rule.path}, ttl {rule.ttl}, grace {rule.grace}")
    lines.append(f"purges: generation {found.generation} is known (see bans)")
    lines += _of_pages(found, now)
    lines.append(_of_decision(decision))
    return lines


def _of_guest(place: Place) -> str:
    kinds = [f"{name}={'absent' if value is None else value}" for name, value in place.dimensions]
    return ", ".join(["visitor: anonymous", *kinds])


def _of_pages(found: Found, now: float) -> Iterator[str]:
    pages: Sequence[Page] = found.pages
    if not pages:
        yield (
            "stored: other variants, none that fits the request (RFC 9111 §4.1)"
            if found.has_variants
            else "stored: nothing, or purged (RFC 9111 §4)"
        )
    for page in pages:
        yield f"stored: {page.head.status}, {len(page.body)} bytes, tags {', '.join(page.tags) or 'none'}"
        for name, said in page.selecting:
            yield f"  varies by {name}: {'absent' if said is None else repr(said)} (RFC 9111 §4.1)"
        terms = page.terms
        yield f"  age: {terms.age(now):.0f} s (RFC 9111 §4.2.3)"
        lifetime = "unknown" if terms.lifetime_s is None else f"{terms.lifetime_s:.0f} s"
        yield f"  lifetime: {lifetime} (RFC 9111 §4.2.1)"
        left = terms.freshness(now)
        yield f"  fresh: {f'for {left:.0f}' if left > 0 else f'no, since {-left:.0f}'} s (RFC 9111 §4.2)"
        if terms.asks_always:
            yield "  no-cache: asked about before each use (RFC 9111 §5.2.2.4)"
        if terms.never_stale:
            yield "  never stale: must-revalidate, no-cache or s-maxage (RFC 9111 §4.2.4)"
        else:
            yield (
                f"  stale: {terms.while_revalidate_s:.0f} s while it is fetched anew,"
                f" {terms.if_error_s:.0f} s for an error (RFC 5861), {terms.if_down_s:.0f} s when down"
            )


def _of_decision(decision: AfterRequest) -> str:
    if isinstance(decision, Serve):
        refresh = ", and fetch it anew afterwards (RFC 5861 §3)" if decision.refresh is not None else ""
        return f"decision: {decision.reply.status} from the store{refresh} (RFC 9111 §4)"
    if isinstance(decision, Validate):
        asked = ", ".join(name for name, value in decision.changes.items() if value is not None)
        return f"decision: ask whether it holds, by {asked} (RFC 9111 §4.3.1)"
    if isinstance(decision, Fetch):
        return f"decision: fetch, {decision.why} (RFC 9211 §2.2)"
    assert isinstance(decision, Pass)
    return f"decision: {decision.why} goes to the application (RFC 9111 §3)"
