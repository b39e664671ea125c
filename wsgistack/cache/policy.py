"""Profiles: where the RFCs leave a choice, what is chosen.

`rfc9111` is the standard and nothing else, for what stands in front of anything; `anonymous` is for
applications: a page is shared only when nothing about it can be somebody's own.
"""

from __future__ import annotations

from dataclasses import dataclass

from wsgistack.errors import UnknownName
from wsgistack.http.cache_control import LARGEST_SECONDS
from wsgistack.registry import find_nearest

__all__ = ["HEURISTIC_STATUSES", "PROFILES", "TARGETS", "Policy", "find_policy"]

# The targeted fields that speak to us, the first that is there counts.  RFC 9213 §2.2
TARGETS = ("wsgistack-cache-control", "cdn-cache-control")
# RFC 9110 §15.1
HEURISTIC_STATUSES = frozenset((200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501))
PERMANENT = frozenset((301, 308, 410))  # what these say holds until further notice


@dataclass(frozen=True, slots=True)
class Policy:
    """The choices of a profile.

    *is_for_guests*: a request that is anybody's goes past the cache, see personal.
    *targets*: lower-case names of targeted fields.  *heuristic_statuses*: a response of these, or one that
    says `public`, whose lifetime nothing tells is fresh for a tenth of the time since it was modified, at
    most *heuristic_most_s*; RFC 9111 §4.2.2.
    *obeys_clients*: no-cache, max-age, min-fresh and max-stale of requests count (advisory: §5.2.1).
    *reorders_lists*: Accept-* fields that list the same with the same weights are one variant (§4.1);
    Django's and Werkzeug's parsers do keep the order of equals.
    *stores_cookies*: a response with Set-Cookie may be stored.  *longest_error_s*: the lifetime of an
    error that a client can provoke (400, 413, 431, 5xx, …) counts up to that; who makes the origin
    refuse once must not have a page replaced by that for long (cache-poisoned denial of service).
    *shares_authorized*: a response to Authorization may be stored where §3.5 allows it.
    *is_coded*: it is known in which content codings pages are made, see codings.
    *failure_grace_s*: how long past its lifetime a page stands in for an origin that cannot be
    reached, when the page itself says nothing (§4.2.4); *error_grace_s*: for one that answers 5xx.
    *keep_s*: how long past all that a page with a validator is kept, to be validated.
    """

    name: str
    is_for_guests: bool
    heuristic_statuses: frozenset[int]
    obeys_clients: bool
    reorders_lists: bool
    stores_cookies: bool
    longest_error_s: float
    shares_authorized: bool
    is_coded: bool = False
    targets: tuple[str, ...] = TARGETS
    heuristic_most_s: float = 86_400.0
    failure_grace_s: float = 3600.0
    error_grace_s: float = 0.0
    keep_s: float = 3600.0


PROFILES = {
    "anonymous": Policy(
        "anonymous",
        is_for_guests=True,
        heuristic_statuses=PERMANENT,  # an application makes other pages for each request
        obeys_clients=False,
        reorders_lists=False,
        stores_cookies=False,
        longest_error_s=10.0,
        shares_authorized=False,
    ),
    "rfc9111": Policy(
        "rfc9111",
        is_for_guests=False,
        heuristic_statuses=HEURISTIC_STATUSES,
        obeys_clients=True,
        reorders_lists=True,
        stores_cookies=True,
        longest_error_s=float(LARGEST_SECONDS),
        shares_authorized=True,
    ),
}


def find_policy(name: str) -> Policy:
    """Return the profile of that name, or raise UnknownName with the nearest."""
    if name not in PROFILES:
        text = f"profile: {name!r} is not one of {', '.join(PROFILES)}"
        raise UnknownName(text, met=str(name), nearest=find_nearest(str(name), PROFILES))
    return PROFILES[name]
