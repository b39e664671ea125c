"""No-Vary-Search: queries that mean the same page.  draft-ietf-httpbis-no-vary-search-10

A response says which parameters of its URL's query change nothing; URLs that differ in these alone
are answered by one page.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import parse_qsl, quote_plus, unquote, urlencode

from wsgistack.http.structured import Inner, Item, parse_dictionary
from wsgistack.memos import remember

__all__ = ["Variance", "parse_variance", "read_words"]

MOST_NAMES = 64
MOST_PARAMETERS = 256


class Variance(NamedTuple):
    """What of a query matters.

    *in_order*: the order of different names does.  *names*: those that do not matter, or, where
    *all_but_names*, the only ones that do.
    """

    in_order: bool
    all_but_names: bool
    names: tuple[str, ...]

    def normalise(self, query: str) -> str | None:
        """Return the same text for all queries that mean the same; None for one that is too long to tell."""
        try:
            pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=MOST_PARAMETERS)
        except ValueError:
            return None
        names = frozenset(self.names)
        pairs = [pair for pair in pairs if (pair[0] in names) is self.all_but_names]
        if not self.in_order:
            pairs.sort(key=lambda pair: pair[0])  # stable: the order of one name's values matters
        return urlencode(pairs)

    def words(self) -> tuple[str, ...]:
        """Return it as words without commas, which `read_words` reads."""
        flags = f"{self.in_order:d}{self.all_but_names:d}"
        return (flags, *map(quote_plus, self.names))


def read_words(words: Sequence[str]) -> Variance | None:
    """Return what `words` gave, None for anything else."""
    if not words or words[0] not in ("00", "01", "10", "11"):
        return None
    names = tuple([unquote(word.replace("+", " ")) for word in words[1:]])
    return Variance(words[0][0] == "1", words[0][1] == "1", names)


@remember(256)
def parse_variance(value: str) -> Variance | None:
    """Return what a No-Vary-Search field says, None where every difference of a query matters.

    Anything that breaks the grammar means just that.

    >>> parse_variance('params=("utm_source"), key-order')
    Variance(in_order=False, all_but_names=False, names=('utm_source',))
    """
    members = parse_dictionary(value)
    if not members:
        return None
    order, params, excepted = members.get("key-order"), members.get("params"), members.get("except")
    ignores_order = _flag(order) if order is not None else False
    names = _names(excepted) if excepted is not None else ()
    if ignores_order is None or names is None:
        return None
    if isinstance(params, Inner):
        ignored = _names(params)
        if ignored is None or excepted is not None:
            return None
        found = Variance(not ignores_order, False, ignored)
    else:
        ignores_all = _flag(params) if params is not None else False
        if ignores_all is None or (excepted is not None and not ignores_all):
            return None
        found = Variance(not ignores_order, ignores_all, names)
    return None if found == (True, False, ()) else found


def _flag(member: Item | Inner) -> bool | None:
    value = member.value if isinstance(member, Item) else None
    return value if isinstance(value, bool) else None


def _names(member: Item | Inner) -> tuple[str, ...] | None:
    if not isinstance(member, Inner) or len(member.items) > MOST_NAMES:
        return None
    names = [item.value for item in member.items]
    if not all(type(name) is str for name in names):
        return None
    return tuple([unquote(str(name).replace("+", " ")) for name in names])
