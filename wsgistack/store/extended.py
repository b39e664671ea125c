"""msgpack that gives back what it was given: a value returns with its type, or it is refused.

Plain msgpack turns tuples into lists and refuses sets, dates and long integers; these travel as
extension types here.  Instances of anything else, subclasses of the known types included, are
refused: what comes back would be something else.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

import msgpack

__all__ = ["pack", "unpack"]

DEEPEST = 100  # msgpack's C parser stops at 512 levels; ours calls itself


def _parse_duration(text: str) -> timedelta:
    days, seconds, microseconds = map(int, text.split())
    return timedelta(days, seconds, microseconds)


# type: (code, value -> text, text -> value); a code never changes its meaning
TEXTS: dict[type, tuple[int, Callable[..., str], Callable[[str], object]]] = {
    int: (1, str, int),  # beyond 64 bits
    datetime: (2, datetime.isoformat, datetime.fromisoformat),
    date: (3, date.isoformat, date.fromisoformat),
    time: (4, time.isoformat, time.fromisoformat),
    timedelta: (5, lambda d: f"{d.days} {d.seconds} {d.microseconds}", _parse_duration),
    Decimal: (6, str, Decimal),
    UUID: (7, str, UUID),
    complex: (8, repr, complex),
}
# type: (code, items -> value); the items are packed as a list
GROUPS: dict[type, tuple[int, Callable[[list[object]], object]]] = {
    tuple: (32, tuple),
    set: (33, set),
    frozenset: (34, frozenset),
}
PARSERS = {code: parse for code, _, parse in TEXTS.values()}
MAKERS = dict(GROUPS.values())


def pack(value: object) -> bytes:
    """Return *value* as msgpack; TypeError or ValueError for what would not come back as it is.

    A time zone comes back as its offset, `fold` as 0.

    >>> unpack(pack({("a", None): {2.5}}))
    {('a', None): {2.5}}
    """
    depth = 0

    def extend(part: object) -> msgpack.ExtType:
        nonlocal depth
        kind = type(part)
        if kind in GROUPS:
            if depth == DEEPEST:
                raise ValueError(f"more than {DEEPEST} groups in each other")
            depth += 1
            packed = write(list(part))  # type: ignore[call-overload]  # tuples and sets have items
            depth -= 1
            return msgpack.ExtType(GROUPS[kind][0], packed)
        if kind in TEXTS:
            code, show, _ = TEXTS[kind]
            return msgpack.ExtType(code, show(part).encode("ascii"))
        raise TypeError(f"a {kind.__module__}.{kind.__qualname__} does not come back as what it is")

    def write(part: object) -> bytes:
        packed: bytes = msgpack.packb(part, default=extend, strict_types=True, unicode_errors="surrogatepass")
        return packed

    return write(value)


def unpack(packed: bytes) -> object:
    """Return the value; ValueError for bytes that `pack` never made.  No length in them is believed."""
    depth = 0

    def revive(code: int, data: bytes) -> object:
        nonlocal depth
        if code in PARSERS:
            return PARSERS[code](data.decode("ascii"))
        if code not in MAKERS or depth == DEEPEST:
            raise ValueError(f"extension type {code} at depth {depth}")
        depth += 1
        made = MAKERS[code](read(data))
        depth -= 1
        return made

    def read(data: bytes) -> list[object]:
        value = msgpack.unpackb(
            data,
            ext_hook=revive,
            strict_map_key=False,
            unicode_errors="surrogatepass",
        )
        return value  # type: ignore[no-any-return]  # a group's items are a list, or its maker complains

    try:
        return read(packed)
    except (TypeError, ArithmeticError, RecursionError, msgpack.UnpackException) as error:
        raise ValueError(f"not msgpack of ours: {error!r}") from None
