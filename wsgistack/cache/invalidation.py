"""What a request that changes something makes worthless.  RFC 9111 §4.4, RFC 9875"""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

from wsgistack.cache.head import ResponseHead
from wsgistack.http.structured import Item, parse_list

__all__ = [
    "SAFE_METHODS",
    "changes_something",
    "groups_of",
    "groups_to_invalidate",
    "resolve_url",
    "urls_to_invalidate",
]

# RFC 9110 §9.2.1 and the registry.  A method that nobody knows is taken for an unsafe one.
SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS", "TRACE", "QUERY", "PROPFIND", "REPORT", "SEARCH"))
MOST_GROUPS = 128  # RFC 9875 §2: at least 32 are to be understood, each of at least 32 characters
LONGEST_GROUP = 256
DEFAULT_PORTS = {"http": 80, "https": 443}


def changes_something(method: str, status: int) -> bool:
    """Tell whether the response shows that something was changed: an unsafe method, and no error."""
    return method not in SAFE_METHODS and 200 <= status < 400


def urls_to_invalidate(target: str, head: ResponseHead) -> tuple[str, ...]:
    """Return the URLs whose stored responses are worthless now, *target* (absolute) first.

    Location and Content-Location count on the same origin only: else one site could purge another's.
    """
    urls = [target]
    for name in ("location", "content-location"):
        value = head.field(name)
        if value:
            url = resolve_url(target, value)
            if url is not None and _origin(url) == _origin(target) and url not in urls:
                urls.append(url)
    return tuple(urls)


def resolve_url(target: str, value: str) -> str | None:
    """Return the absolute URL that a reference in a response to *target* means, None for none."""
    try:
        return urljoin(target, value.strip()).partition("#")[0]
    except ValueError:
        return None


def _origin(url: str) -> tuple[str, str, int | None] | None:
    try:
        parts = urlsplit(url)
        port = parts.port or DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return None
    return (parts.scheme, parts.hostname or "", port)


def groups_of(head: ResponseHead) -> tuple[str, ...]:
    """Return the groups that a response belongs to, on its origin.  RFC 9875 §2"""
    return _strings(head.field("cache-groups"))


def groups_to_invalidate(method: str, head: ResponseHead) -> tuple[str, ...]:
    """Return the groups that a response invalidates: only one to an unsafe method may.  RFC 9875 §3"""
    return () if method in SAFE_METHODS else _strings(head.field("cache-group-invalidation"))


def _strings(value: str | None) -> tuple[str, ...]:
    members = parse_list(value) if value else None
    texts = [
        member.value
        for member in members or ()
        if isinstance(member, Item) and type(member.value) is str and len(member.value) <= LONGEST_GROUP
    ]
    return tuple(dict.fromkeys(texts[:MOST_GROUPS]))
