"""Which directives are meant for us: Cache-Control, or a field that is aimed at our kind.  RFC 9213"""

from __future__ import annotations

from typing import NamedTuple

from wsgistack.cache.head import ResponseHead
from wsgistack.http.cache_control import Directives, parse_cache_control
from wsgistack.http.structured import Item, parse_dictionary
from wsgistack.memos import remember

__all__ = ["Control", "control_of"]

TIMES = frozenset(("max-age", "s-maxage", "stale-while-revalidate", "stale-if-error"))
LISTS = frozenset(("no-cache", "private"))


class Control(NamedTuple):
    """The directives that count, and the field that they are from.

    A targeted field stands in the place of Cache-Control and of Expires.  RFC 9213 §2.2
    """

    directives: Directives
    field: str

    @property
    def is_targeted(self) -> bool:
        """True where Expires and Cache-Control do not count."""
        return self.field != "cache-control"


def control_of(head: ResponseHead, targets: tuple[str, ...]) -> Control:
    """Return what *head* says to a cache that *targets* are about; the first valid one of them counts."""
    known = head.control
    if isinstance(known, tuple) and known[0] is targets:
        control: Control = known[1]
    else:
        control = _read(head, targets)
        head.control = (targets, control)
    return control


def _read(head: ResponseHead, targets: tuple[str, ...]) -> Control:
    for name in targets:
        value = head.field(name)
        if value:
            directives = _parse_targeted(value)
            if directives:
                return Control(directives, name)
    return Control(parse_cache_control(head.field("cache-control")), "cache-control")


@remember(512)
def _parse_targeted(value: str) -> Directives | None:
    """Return the directives of a Dictionary, None if it is none or one of them has no such type."""
    members = parse_dictionary(value)
    if not members:
        return None
    values: dict[str, str | None] = {}
    for name, member in members.items():
        if not isinstance(member, Item):
            if name in TIMES | LISTS:
                return None
            continue
        met = member.value
        if name in TIMES:
            if isinstance(met, bool) or not isinstance(met, int) or met < 0:
                return None
            values[name] = str(int(met))
        elif met is True:
            values[name] = None
        elif name in LISTS and isinstance(met, str):
            values[name] = met
        elif met is not False:
            values[name] = str(met)
    return Directives(values)
