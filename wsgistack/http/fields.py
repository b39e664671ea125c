"""Header fields as lists of (name, value): combined values, list members, fields that end with a hop."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wsgistack.memos import remember

__all__ = ["HOP_BY_HOP", "Fields", "combine", "hop_names", "split_list", "token_list", "without"]

Fields = tuple[tuple[str, str], ...]

# RFC 9110 §7.6.1, with the older names that implementations still meet.
HOP_BY_HOP = frozenset(
    (
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authentication-info",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)


def combine(fields: Iterable[tuple[str, str]], name: str) -> str | None:
    """Return all values of a field as one, None if there is none; *name* is lower-case.  RFC 9110 §5.3"""
    found = [value for key, value in fields if key.lower() == name]
    if not found:
        return None
    return found[0] if len(found) == 1 else ", ".join(found)


def split_list(value: str) -> Iterator[str]:
    """Yield the members of a list, stripped, empty ones left out; a comma in quotes splits nothing.

    A quote that never ends takes the rest with it.  RFC 9110 §5.6.1

    >>> list(split_list('a, "b, c" ,,d'))
    ['a', '"b, c"', 'd']
    """
    if '"' not in value:
        for part in value.split(","):
            member = part.strip(" \t")
            if member:
                yield member
        return
    start = at = 0
    quoted = False
    while at < len(value):
        character = value[at]
        if quoted and character == "\\":
            at += 1
        elif character == '"':
            quoted = not quoted
        elif character == "," and not quoted:
            member = value[start:at].strip(" \t")
            if member:
                yield member
            start = at + 1
        at += 1
    member = value[start:].strip(" \t")
    if member:
        yield member


@remember(1024, longest=128)
def token_list(value: str) -> tuple[str, ...]:
    """Return the members of a list of names, lower-case, in order, each once.

    >>> token_list("Accept, , *,accept")
    ('accept', '*')
    """
    return tuple(dict.fromkeys(member.lower() for member in split_list(value)))


def hop_names(fields: Iterable[tuple[str, str]]) -> frozenset[str]:
    """Return the names of the fields that end with this hop: the known ones and what Connection lists."""
    named = combine(fields, "connection")
    return HOP_BY_HOP if named is None else HOP_BY_HOP | frozenset(token_list(named))


def without(fields: Iterable[tuple[str, str]], names: Iterable[str]) -> Fields:
    """Return *fields* but for those whose lower-case name is one of *names*."""
    left_out = frozenset(names)
    return tuple([(name, value) for name, value in fields if name.lower() not in left_out])
