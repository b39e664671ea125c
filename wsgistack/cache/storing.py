"""May a response be stored, and what of it.  RFC 9111 §3

Every refusal is a word of REASONS, which says where it is written.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from wsgistack.cache.control import control_of
from wsgistack.cache.freshness import Terms
from wsgistack.cache.head import ResponseHead
from wsgistack.cache.invalidation import resolve_url
from wsgistack.cache.policy import HEURISTIC_STATUSES, TARGETS, Policy
from wsgistack.cache.vary import vary_names
from wsgistack.http.cache_control import Directives, parse_cache_control
from wsgistack.http.fields import Fields, hop_names
from wsgistack.http.ranges import parse_content_range
from wsgistack.http.request import RequestView

__all__ = ["REASONS", "fields_to_store", "find_refusal", "is_for_one", "says_nothing"]

REASONS = {
    "method": "RFC 9111 §3: the method's responses are not stored",
    "request-no-store": "RFC 9111 §5.2.1.5: the request says no-store",
    "status": "RFC 9111 §3: the status is not understood, or about this very request",
    "partial": "RFC 9111 §3.3: it does not say which part of what it is",
    "no-store": "RFC 9111 §5.2.2.5: the response says no-store",
    "private": "RFC 9111 §5.2.2.7: the response is for one user",
    "authorization": "RFC 9111 §3.5: the request is authorized, the response allows no sharing",
    "set-cookie": "the response sets a cookie, which the profile never stores",
    "vary-star": "RFC 9111 §4.1: Vary: * fits no request",
    "no-lifetime": "RFC 9111 §3: nothing says how long it may be used, nor how to validate it",
}

# Understood: their meaning for a cache is known.  RFC 9111 §5.2.2.3
UNDERSTOOD = HEURISTIC_STATUSES | {
    201,
    202,
    302,
    303,
    307,
    400,
    401,
    403,
    413,
    429,
    431,
    451,
    500,
    502,
    503,
    504,
}
# Fields without which nothing of a response is about its storing; beside these, the targeted ones of a policy.
TELLING = frozenset(
    (*TARGETS, "cache-control", "expires", "last-modified", "set-cookie", "set-cookie2", "content-encoding")
)
# draft-ietf-httpapi-ratelimit-headers-10 §5: a stored response's are to be ignored; with the older forms.
QUOTAS = frozenset(
    [
        *("ratelimit", "ratelimit-policy"),
        *(f"{prefix}ratelimit-{word}" for prefix in ("", "x-") for word in ("limit", "remaining", "reset")),
    ]
)
# About the preconditions or the range of one request, never about the resource.
ABOUT_THE_REQUEST = frozenset((304, 412, 416))


def find_refusal(
    request: RequestView,
    head: ResponseHead,
    terms: Terms,
    policy: Policy,
    *,
    target: str,
    has_made_tag: bool = False,
) -> str | None:
    """Return why a response must not be stored, a word of REASONS, None if it may be.

    *target* is the URL that the request is about; it matters for POST alone.  *has_made_tag*: its ETag
    was made of the body in this process.
    """
    directives = control_of(head, policy.targets).directives
    for found in (
        _by_method(request, head, terms, policy, target),
        _by_status(head, directives, terms),
        _by_directives(request, head, directives, policy),
    ):
        if found is not None:
            return found
    if not policy.stores_cookies and _sets_cookie(head):
        return "set-cookie"
    if vary_names(head) is None:
        return "vary-star"
    if terms.lifetime_s is None and not _has_validator(head, has_made_tag):
        return "no-lifetime"
    return None


def says_nothing(
    request: RequestView, head: ResponseHead, policy: Policy, *, has_made_tag: bool = False
) -> bool:
    """Tell at a glance whether `find_refusal` says "no-lifetime", as of most pages; False: only that tells.

    Nobody else told a lifetime.
    """
    return (
        head.status == 200
        and request.method == "GET"
        and policy.targets is TARGETS
        and head.has_none_of(TELLING)
        and (has_made_tag or head.field("etag") is None)
        and "*" not in (head.field("vary") or "")
        and request.field("authorization") is None
        and request.field("cache-control") is None
    )


def is_for_one(request: RequestView, head: ResponseHead, policy: Policy) -> bool:
    """Tell whether nothing of a response may be kept for others, not even fields, whatever its method."""
    if "no-store" in parse_cache_control(request.field("cache-control")):
        return True
    directives = control_of(head, policy.targets).directives
    return _by_directives(request, head, directives, policy) is not None or (
        not policy.stores_cookies and _sets_cookie(head)
    )


def _sets_cookie(head: ResponseHead) -> bool:
    return head.field("set-cookie") is not None or head.field("set-cookie2") is not None


def _by_method(
    request: RequestView, head: ResponseHead, terms: Terms, policy: Policy, target: str
) -> str | None:
    if "no-store" in parse_cache_control(request.field("cache-control")):
        return "request-no-store"
    if request.method == "GET":
        return None
    # Who sends a POST is not asked for: a signed-in visitor's answer must not become everybody's page.
    may_post = request.method == "POST" and not policy.is_for_guests
    if may_post and head.status == 200 and terms.lifetime_s is not None:
        # RFC 9110 §9.3.3: an answer that says where it can be had by GET, and for how long.
        location = head.field("content-location")
        return None if location is not None and resolve_url(target, location) == target else "method"
    return "method"


def _by_status(head: ResponseHead, directives: Directives, terms: Terms) -> str | None:
    status = head.status
    if status < 200 or status in ABOUT_THE_REQUEST:
        return "status"
    if status == 206 and parse_content_range(head.field("content-range") or "") is None:
        return "partial"
    if "must-understand" in directives and status not in UNDERSTOOD:
        return "status"
    if terms.lifetime_s is None and status not in HEURISTIC_STATUSES and "public" not in directives:
        return "status"
    return None


def _by_directives(
    request: RequestView, head: ResponseHead, directives: Directives, policy: Policy
) -> str | None:
    if "no-store" in directives and not ("must-understand" in directives and head.status in UNDERSTOOD):
        return "no-store"
    if directives.names("private") == ():
        return "private"
    if request.field("authorization") is not None and not (
        policy.shares_authorized
        and any(name in directives for name in ("must-revalidate", "public", "s-maxage"))
    ):
        return "authorization"
    return None


def _has_validator(head: ResponseHead, has_made_tag: bool) -> bool:
    """Tell whether validation may spare work: by a made tag only the encoding of the same body once more."""
    has_tag = head.field("etag") is not None
    if has_made_tag and head.field("content-encoding") is None:
        has_tag = False
    return has_tag or head.field("last-modified") is not None


def fields_to_store(head: ResponseHead, policy: Policy) -> Fields:
    """Return the fields of a response that may be stored.

    Not those that end with a hop, nor those that `private` or `no-cache` names.  §3.1, §5.2.2.4, §5.2.2.7
    Nor those that tell one client what is left of its quota.
    """
    directives = control_of(head, policy.targets).directives
    named: Iterable[str] = (*(directives.names("private") or ()), *(directives.names("no-cache") or ()))
    left_out = _left_out(hop_names(head.fields), frozenset(named))
    return tuple([(name, value) for name, value in head.fields if name.lower() not in left_out])


@lru_cache(maxsize=64)
def _left_out(hops: frozenset[str], named: frozenset[str]) -> frozenset[str]:
    return hops | QUOTAS | named
