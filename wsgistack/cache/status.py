"""Cache-Status: what the cache did with a request, and why.  RFC 9211"""

from __future__ import annotations

from functools import lru_cache
from math import floor
from typing import Literal

from wsgistack.memos import remember

__all__ = ["CACHE_NAME", "PURGED", "Forwarded", "bypassed", "forwarded", "hit", "refused"]

CACHE_NAME = "wsgistack"
PURGED = f"{CACHE_NAME}; detail=purge"  # answered by the cache itself, by nothing that is stored

# §2.2
Forwarded = Literal["bypass", "method", "uri-miss", "vary-miss", "miss", "request", "stale", "partial"]


def hit(ttl_s: float) -> str:
    """Return the member for a request answered from what is stored; *ttl_s* below 0: it was stale.  §2.1, §2.4

    >>> hit(29.9)
    'wsgistack; hit; ttl=29'
    """
    return f"wsgistack; hit; ttl={floor(ttl_s)}"


def forwarded(
    why: Forwarded,
    *,
    status: int | None = None,
    ttl_s: float | None = None,
    stored: bool = False,
    collapsed: bool = False,
    detail: str = "",
) -> str:
    """Return the member for a request that went to the origin.  §2.2 to §2.8

    *status*: what the origin answered, where the client got another one.  *detail*: a token.

    >>> forwarded("uri-miss", stored=True, ttl_s=60)
    'wsgistack; fwd=uri-miss; ttl=60; stored'
    """
    words = [CACHE_NAME, f"fwd={why}"]
    if status is not None:
        words.append(f"fwd-status={status}")
    if ttl_s is not None:
        words.append(f"ttl={floor(ttl_s)}")
    if stored:
        words.append("stored")
    if collapsed:
        words.append("collapsed")
    if detail:
        words.append(f"detail={detail}")
    return "; ".join(words)


@lru_cache(maxsize=256)
def refused(why: Forwarded, detail: str) -> str:
    """Return the member for a request whose response is not stored, and why: `forwarded`, remembered.

    *detail*: a word of storing.REASONS, or what an application called it, which is short.

    >>> refused("uri-miss", "no-lifetime")
    'wsgistack; fwd=uri-miss; detail=no-lifetime'
    """
    return forwarded(why, detail=detail)


@remember(256)
def bypassed(detail: str) -> str:
    """Return the member for a request that goes past the cache, and why.  §2.2

    >>> bypassed("cookie:sessionid")
    'wsgistack; fwd=bypass; detail=cookie:sessionid'
    """
    return forwarded("bypass", detail=detail)
