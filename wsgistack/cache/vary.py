"""Which of several responses of one URL fits a request: Vary.  RFC 9111 §4.1"""

from __future__ import annotations

import re
from collections.abc import Callable

from wsgistack.cache.head import ResponseHead
from wsgistack.http.fields import split_list, token_list
from wsgistack.memos import Memo

__all__ = ["Selecting", "names_of", "selecting_of", "vary_names"]

# What a request says in the fields that a response varies by; None: it lacks the field, which is not
# the same as an empty one (CVE-2026-113593).
Selecting = tuple[tuple[str, str | None], ...]

# Their members are words whose case means nothing: RFC 9110 §12.5.2, §12.5.3, §12.5.4.
CASELESS = frozenset(("accept-charset", "accept-encoding", "accept-language"))
WEIGHT = re.compile(r";[ \t]*[qQ]=([01](?:\.[0-9]{0,3})?)")


def vary_names(head: ResponseHead) -> tuple[str, ...] | None:
    """Return the lower-case names that *head* varies by, in one order for all; None for `*`.

    `*` counts wherever it stands in the list.
    """
    value = head.field("vary")
    if value is None:
        return ()
    names = token_list(value)
    return None if "*" in names else tuple(sorted(names))


def names_of(head: ResponseHead, *, is_coded: bool) -> tuple[str, ...]:
    """Return the names of the fields that a page of *head*, whose Vary has no `*`, is chosen by.

    *is_coded*: its codings are known to follow Accept-Encoding.  Then one with a coding is chosen by that field
    also where Vary is silent, as nginx is without `gzip_vary`: it is for nobody who did not ask for it.
    """
    names = vary_names(head) or ()
    if is_coded and "accept-encoding" not in names and head.field("content-encoding") is not None:
        return tuple(sorted((*names, "accept-encoding")))
    return names


def selecting_of(
    names: tuple[str, ...], field: Callable[[str], str | None], *, reorders: bool = False
) -> Selecting:
    """Return what a request says in the fields *names*, so that requests that mean the same are equal.

    Whitespace around commas means nothing but in Cookie, which is no list, and where something is quoted; nor
    does case in the lists whose words have none.  With *reorders* the order of members with the same weight means nothing in Accept-* either.
    """
    return tuple([(name, _normalised[name, field(name), reorders]) for name in names])


def _normalise(asked: tuple[str, str | None, bool]) -> str | None:
    name, value, reorders = asked
    if value is None:
        return None
    if name == "cookie":
        return value
    if name in CASELESS:
        members = [re.sub(r"[ \t]+", "", member).lower() for member in split_list(value)]
    elif '"' in value:
        members = [value.strip(" \t")]
    else:  # nobody knows whether an empty member means something
        members = [member.strip(" \t") for member in value.split(",")]
    if reorders and name.startswith("accept"):
        members.sort(key=lambda member: (-_weight(member), member))
    return ",".join(members)


_normalised = Memo(_normalise, 4096)


def _weight(member: str) -> float:
    found = WEIGHT.search(member)
    return 1.0 if found is None else float(found[1])
