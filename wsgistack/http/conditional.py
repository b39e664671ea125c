"""Conditional requests: entity tags, and what a stored response answers to them.  RFC 9110 §8.8, §13"""

from __future__ import annotations

import re
from typing import Literal

from wsgistack.http.dates import parse_date
from wsgistack.memos import remember

__all__ = [
    "CONDITIONS",
    "OF_CONTENT",
    "evaluate",
    "is_strong",
    "parse_etags",
    "range_applies",
    "same_strong",
    "same_weak",
]

# The fields that make a request conditional, §13.1.
CONDITIONS = ("if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range")

# What a 304 does not repeat: it has no content.  RFC 9110 §15.4.5
OF_CONTENT = ("content-length", "content-encoding", "content-type", "content-language", "content-range")

# W/ counts in either case, and obs-text is part of a tag: §8.8.3.
ETAG = re.compile(r'[ \t,]*((?:W/)?"[!#-~\x80-\xff]*")[ \t]*(?=,|$)')
LONGEST = 8192


@remember(1024, longest=128)
def parse_etags(value: str) -> tuple[str, ...]:
    """Return the entity tags of a list, up to the first thing that is none.

    >>> parse_etags('"a", W/"b,c"')
    ('"a"', 'W/"b,c"')
    """
    tags, at = [], 0
    while at < min(len(value), LONGEST):
        found = ETAG.match(value, at)
        if found is None:
            break
        tags.append(found[1])
        at = found.end()
    return tuple(tags)


def is_strong(etag: str | None) -> bool:
    """Tell whether *etag* is an entity tag that promises equal bytes.  §8.8.1"""
    return etag is not None and etag.startswith('"') and ETAG.fullmatch(etag) is not None


def same_strong(one: str, other: str) -> bool:
    """Compare two tags strongly: both strong, and equal.  §8.8.3.2"""
    return one == other and is_strong(one)


def same_weak(one: str, other: str) -> bool:
    """Compare two tags weakly: equal but for W/.  §8.8.3.2"""
    return one.removeprefix("W/") == other.removeprefix("W/")


def evaluate(
    *,
    none_match: str | None,
    modified_since: str | None,
    etag: str | None,
    last_modified: str | None,
    date: int | None,
) -> Literal[200, 304]:
    """Return the status of a GET or HEAD answered from a stored response with these validators.

    If-None-Match goes first, and If-Modified-Since counts only without it.  Where the response has
    no Last-Modified its Date takes the place.  RFC 9111 §4.3.2
    """
    if none_match is not None:
        if none_match.strip(" \t") == "*":
            return 304
        if etag is None:
            return 200
        return 304 if any(same_weak(etag, tag) for tag in parse_etags(none_match)) else 200
    if modified_since is None:
        return 200
    since = parse_date(modified_since)
    modified = date if last_modified is None else parse_date(last_modified)
    return 304 if since is not None and modified is not None and modified <= since else 200


def range_applies(if_range: str | None, *, etag: str | None, last_modified: str | None) -> bool:
    """Tell whether a Range counts, as If-Range says: only for the very bytes the client has.  §13.1.5"""
    if if_range is None:
        return True
    tags = parse_etags(if_range)
    if tags:
        return etag is not None and same_strong(tags[0], etag)
    return parse_date(if_range) is not None and if_range == last_modified
