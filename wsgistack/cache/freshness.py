"""How old a response is, how long it is fresh, and how long it may be used past that.  RFC 9111 §4.2, RFC 5861"""

from __future__ import annotations

import re
from dataclasses import dataclass

from wsgistack.cache.control import Control, control_of
from wsgistack.cache.head import ResponseHead
from wsgistack.cache.policy import Policy
from wsgistack.http.cache_control import LARGEST_SECONDS
from wsgistack.http.dates import parse_date

__all__ = ["Terms", "Told", "age_value", "lifetime_of", "make_terms"]

# What a client can bring about by how it asks, and what the origin's trouble does.
PROVOKED = frozenset((400, 401, 403, 406, 408, 411, 413, 414, 415, 417, 421, 422, 426, 428, 429, 431))
HEURISTIC_FRACTION = 0.1  # RFC 9111 §4.2.2
AGE = re.compile(r"[ \t]*([0-9]+)[ \t]*(?:,.*)?", re.DOTALL | re.ASCII)


@dataclass(frozen=True, slots=True)
class Told:
    """What somebody decided beside the response: a rule of the operator, or the application itself.

    *ttl_s* is the lifetime, whatever the fields say of it, but for errors; *grace_s* the time past it in which the
    page may be used while it is fetched anew, or when that fails.
    """

    ttl_s: float | None = None
    grace_s: float | None = None


NOTHING_TOLD = Told()


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms on which a stored response may be used; times are seconds since the epoch.

    *lifetime_s* is None where nothing says so.  *asks_always*: no-cache.  *never_stale*: no use past
    the lifetime, §4.2.4.  *while_revalidate_s*, *if_error_s*, *if_down_s*: how long past it while it is
    validated, when the origin answers an error, and when it does not answer.
    """

    received_at: float
    initial_age_s: float
    lifetime_s: float | None
    asks_always: bool
    never_stale: bool
    while_revalidate_s: float
    if_error_s: float
    if_down_s: float

    def age(self, now: float) -> float:
        """Return the current age: §4.2.3."""
        return self.initial_age_s + max(now - self.received_at, 0.0)

    def freshness(self, now: float) -> float:
        """Return how many seconds it stays fresh, 0 or below when it is not."""
        return (self.lifetime_s or 0.0) - self.age(now)

    @property
    def numbers(self) -> tuple[float | None, ...]:
        """All of them, in the order of the fields; truth is 1."""
        return (
            self.received_at,
            self.initial_age_s,
            self.lifetime_s,
            float(self.asks_always),
            float(self.never_stale),
            self.while_revalidate_s,
            self.if_error_s,
            self.if_down_s,
        )

    @property
    def longest_s(self) -> float:
        """How many seconds after it was received it may be used at all, without validation."""
        stale = 0.0 if self.never_stale else max(self.while_revalidate_s, self.if_error_s, self.if_down_s)
        return max((self.lifetime_s or 0.0) - self.initial_age_s, 0.0) + stale


def age_value(value: str | None) -> int:
    """Return the seconds of an Age field: its first member, 0 for what is no number.  §5.1

    >>> age_value("7200, 0"), age_value("7200.5"), age_value(None)
    (7200, 0, 0)
    """
    found = AGE.fullmatch(value) if value else None
    if found is None:
        return 0
    digits = found[1].lstrip("0")
    return min(int(digits or 0), LARGEST_SECONDS) if len(digits) <= 10 else LARGEST_SECONDS


def initial_age(head: ResponseHead, *, asked_at: float, received_at: float) -> float:
    """Return the age with which a response came.  §4.2.3"""
    date = parse_date(head.field("date") or "")
    apparent = (
        0.0 if date is None else max(0.0, float(int(received_at) - date))
    )  # Date has no parts of a second
    return max(apparent, age_value(head.field("age")) + max(received_at - asked_at, 0.0))


def lifetime_of(head: ResponseHead, control: Control, *, received_at: float, policy: Policy) -> float | None:
    """Return for how many seconds a response is fresh, None if nothing says so.  §4.2.1

    The first of s-maxage, max-age, Expires minus Date that is there, else the heuristic.  A time that
    cannot be read is 0, already stale.
    """
    for name in ("s-maxage", "max-age"):
        seconds = control.directives.seconds(name)
        if seconds is not None:
            return float(seconds)
    date = parse_date(head.field("date") or "")
    sent_at = received_at if date is None else float(date)
    expires = None if control.is_targeted else head.field("expires")
    if expires is not None:
        until = parse_date(expires)
        return 0.0 if until is None else max(until - sent_at, 0.0)
    if head.status in policy.heuristic_statuses or "public" in control.directives:  # §4.2.2
        modified = parse_date(head.field("last-modified") or "")
        if modified is not None and modified < sent_at:
            return min((sent_at - modified) * HEURISTIC_FRACTION, policy.heuristic_most_s)
    return None


def make_terms(
    head: ResponseHead,
    policy: Policy,
    *,
    asked_at: float,
    received_at: float,
    told: Told = NOTHING_TOLD,
) -> Terms:
    """Return the terms of a response that was asked for and received at these times."""
    control = control_of(head, policy.targets)
    directives = control.directives
    lifetime = lifetime_of(head, control, received_at=received_at, policy=policy)
    is_error = head.status in PROVOKED or head.status >= 500
    asks_always = directives.names("no-cache") == ()
    never_stale = asks_always or "must-revalidate" in directives or "proxy-revalidate" in directives
    if "s-maxage" in directives and told.ttl_s is None:
        never_stale = True  # §5.2.2.10
    if told.ttl_s is not None and not is_error:
        lifetime = told.ttl_s
    if is_error and lifetime is not None:
        lifetime = min(lifetime, policy.longest_error_s)
    grace = told.grace_s
    revalidate = _first(grace, directives.seconds("stale-while-revalidate"))
    error = _first(grace, directives.seconds("stale-if-error"))
    return Terms(
        received_at=received_at,
        initial_age_s=0.0
        if told.ttl_s is not None
        else initial_age(head, asked_at=asked_at, received_at=received_at),
        lifetime_s=lifetime,
        asks_always=asks_always,
        never_stale=never_stale,
        while_revalidate_s=0.0 if revalidate is None else float(revalidate),
        if_error_s=policy.error_grace_s if error is None else float(error),
        if_down_s=policy.failure_grace_s if error is None else float(error),
    )


def _first(one: float | None, other: float | None) -> float | None:
    return other if one is None else one
