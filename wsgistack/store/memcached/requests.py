"""The requests of memcached's meta protocol, as bytes and as what will answer them; sans-I/O.

Keys are as the server sees them, checked before; flags and values are what the codec made;
*ttl* is what `expiry` made.  Every line carries an opaque number that its answer repeats.
Several values at once are asked for by the classic `get`: the server needs half the time for it,
and each value comes with its key.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import NamedTuple

from wsgistack.errors import ArgumentError
from wsgistack.store.memcached.calls import BARE, BULK_BYTES, LINES, QUIET, STATS, VALUES
from wsgistack.store.memcached.wire import Call, Reply, write_stores

__all__ = [
    "BULK_BYTES",
    "Append",
    "Sum",
    "append_lines",
    "append_many",
    "arithmetic",
    "arithmetic_many",
    "count_many",
    "delete_many",
    "end_of",
    "expiry",
    "flush",
    "get",
    "get_bare",
    "get_many",
    "invalidate",
    "is_unclear",
    "lease",
    "line",
    "next_brief",
    "release",
    "stats",
    "store",
    "store_many",
    "touch",
]

LONGEST_RELATIVE_S = 60 * 60 * 24 * 30  # above, memcached takes a number for a date
EARLIEST_DATE = 1_000_000_000  # 2001: below, a number above 30 days is meant as a duration
LATEST_DATE = 2**31 - 1
MOST_BRIEF = 64
MODES = {"set": b"", "add": b" ME", "replace": b" MR", "append": b" MA", "prepend": b" MP"}

_opaque = 0


def next_opaque(count: int = 1) -> int:
    """Return the first of *count* numbers that differ from those around them on any connection."""
    global _opaque
    first = _opaque + 1
    _opaque = first + count - 1 if first < 1_000_000 else 0
    return first


def next_brief() -> int:
    """Return the first number of quiet requests: of few digits, which the server reads faster.

    They need not differ from others on the connection: `MN` ends all that is said of them.
    """
    return next_opaque() % MOST_BRIEF + 1


def expiry(ttl: float, name: str = "expire") -> int:
    """Return what memcached is told: 0 for ever, -1 at once, else seconds or a date, rounded up.

    Raises ArgumentError for what is not a number.
    """
    if type(ttl) is int and 0 <= ttl <= LONGEST_RELATIVE_S:
        return ttl
    if not isinstance(ttl, int | float) or isinstance(ttl, bool):
        raise ArgumentError(f"{name}: {ttl!r:.80} is not a number of seconds")
    if ttl < 0:
        return -1
    if ttl == math.inf:
        return 0
    if not ttl <= LATEST_DATE:  # nan, too
        if isinstance(ttl, float) and math.isnan(ttl):
            raise ArgumentError(f"{name}: nan is not a number of seconds (0: for ever)")
        return LATEST_DATE
    seconds = math.ceil(ttl)
    if seconds <= LONGEST_RELATIVE_S:
        return seconds
    return min(seconds if seconds >= EARLIEST_DATE else int(time.time()) + seconds, LATEST_DATE)


def end_of(ttl: int, now: float) -> float:
    """Return the time of day at which what gets *ttl* at *now* ends, 0 for never; *ttl* is of `expiry`."""
    return now + ttl if 0 < ttl <= LONGEST_RELATIVE_S else float(max(ttl, 0))


def get(key: bytes, *, ttl: int | None = None) -> Call:
    """Return the request of one value; *ttl*: what it has left from now on.

    Token and time come too: asking for a stale item wins it (see `lease`), and who does not want
    to make it gives it back.
    """
    opaque = next_opaque()
    if ttl is None:
        payload = b"mg %b v f c t O%d\r\n" % (key, opaque)
    else:
        payload = b"mg %b v f c t T%d O%d\r\n" % (key, ttl, opaque)
    return Call(payload, LINES, "get", (ttl,), keys=[key], opaque=opaque)


def get_many(keys: list[bytes], *, with_cas: bool = False) -> Call:
    """Return the request of several values, of different keys."""
    verb = b"gets " if with_cas else b"get "
    return Call(verb + b" ".join(keys) + b"\r\n", VALUES, "get_many", (), keys=keys, count=len(keys))


def get_bare(keys: list[bytes]) -> Call:
    """Return the request of several values, of which those without flags come as bytes alone."""
    return Call(b"get %b\r\n" % b" ".join(keys), BARE, "get_many", (), keys=keys, count=len(keys))


def touch(key: bytes, ttl: int) -> Call:
    """Return the request that gives an item *ttl* from now on."""
    opaque = next_opaque()
    payload = b"mg %b T%d O%d\r\n" % (key, ttl, opaque)
    return Call(payload, LINES, "touch", (ttl,), keys=[key], opaque=opaque)


def store(
    mode: str,
    key: bytes,
    value: bytes,
    flags: int,
    ttl: int,
    *,
    cas: int | None = None,
    even_if_stale: bool = False,
    is_swap: bool = False,
    tells: bool = False,
) -> Call:
    """Return the request that stores one value.

    *cas*: only if the item is still that one.  *even_if_stale*: an item that was invalidated
    since takes the value too, and stays stale.  *is_swap*: where no answer comes, the item is as good
    with the value as without it.  *tells*: the answer has the token of what was stored.
    """
    opaque = next_opaque()
    more = MODES[mode]
    if cas is not None:
        more += b" C%d I" % cas if even_if_stale else b" C%d" % cas
    if tells:
        more += b" c"
    head = b"ms %b %d T%d F%d%b O%d\r\n" % (key, len(value), ttl, flags, more, opaque)
    call = Call(
        b"%b%b\r\n" % (head, value),
        LINES,
        "swap" if is_swap else "store",
        (mode, value, flags, ttl, cas),
        keys=[key],
        opaque=opaque,
        is_fatal=True,
    )
    call.is_bulk = len(value) > BULK_BYTES
    return call


def store_many(items: list[tuple[bytes, bytes, int]], ttl: int, *, is_quiet: bool = True) -> Call:
    """Return the request that sets several (key, value, flags).

    *is_quiet*: the server says only what it refused, which is a quarter less work for it; it does
    not say of which value it has no room for, so `is_unclear` tells to ask again, not quietly.
    """
    opaque = next_brief() if is_quiet else next_opaque(len(items))
    payload = write_stores(items, ttl, opaque, is_quiet)
    keys = [item[0] for item in items]
    kind = QUIET if is_quiet else LINES
    call = Call(
        payload, kind, "store_many", (items, ttl), keys=keys, count=len(keys), opaque=opaque, is_fatal=True
    )
    call.is_bulk = len(payload) > 4 * BULK_BYTES
    return call


def is_unclear(call: Call) -> bool:
    """Return whether something of a quiet request was refused, and nobody knows what."""
    return call.kind is QUIET and isinstance(call.answer, Reply)


def release(key: bytes, cas: int, *, stale_ttl: int | None) -> Call:
    """Return the request that gives a lease back, if the item is still the one of *cas*.

    An empty item is removed; one that holds a value is marked as stale for *stale_ttl* more, so
    that the next asker wins.
    """
    opaque = next_opaque()
    more = b"" if stale_ttl is None else b" I T%d" % stale_ttl
    payload = b"md %b C%d%b O%d\r\n" % (key, cas, more, opaque)
    return Call(payload, LINES, "release", (cas, stale_ttl), keys=[key], opaque=opaque)


def delete_many(keys: list[bytes]) -> Call:
    """Return the request that removes several items; one line answers each."""
    opaque = next_opaque(len(keys))
    payload = b"".join(
        [b"md %b O%d\r\n" % pair for pair in zip(keys, range(opaque, opaque + len(keys)), strict=True)]
    )
    return Call(payload, LINES, "delete_many", (), keys=keys, count=len(keys), opaque=opaque)


def invalidate(key: bytes, ttl: int) -> Call:
    """Return the request that marks an item as stale, to be served for at most *ttl* more."""
    opaque = next_opaque()
    payload = b"md %b I T%d O%d\r\n" % (key, ttl, opaque)
    return Call(payload, LINES, "invalidate", (ttl,), keys=[key], opaque=opaque)


def lease(key: bytes, *, stub_ttl: int, early: int) -> Call:
    """Return the request of a value, or of the right to make it.

    One asker wins (mark W): where nothing is there, which leaves an empty item for *stub_ttl*;
    where the item has less than *early* seconds left; where it is stale (mark X).
    """
    opaque = next_opaque()
    more = b" R%d" % early if early > 0 else b""
    payload = b"mg %b v f c t N%d%b O%d\r\n" % (key, stub_ttl, more, opaque)
    return Call(payload, LINES, "lease", (stub_ttl, early), keys=[key], opaque=opaque)


def arithmetic(
    key: bytes, delta: int, *, first: int | None = None, ttl: int = 0, refresh: bool = False
) -> Call:
    """Return the request that adds *delta*; a missing item becomes *first* unless that is None."""
    opaque = next_opaque()
    more = b"" if delta >= 0 else b" MD"
    if first is not None:
        more += b" N%d J%d" % (ttl, first)
    if refresh:
        more += b" T%d" % ttl
    payload = b"ma %b v c D%d%b O%d\r\n" % (key, abs(delta), more, opaque)
    return Call(payload, LINES, "arithmetic", (delta, first, ttl, refresh), keys=[key], opaque=opaque)


class Sum(NamedTuple):
    """One step of several: a key that is missing becomes *first* and lives *ttl*."""

    key: bytes
    delta: int
    first: int
    ttl: int
    refresh: bool


def arithmetic_many(sums: Sequence[Sum]) -> Call:
    """Return the request that takes several steps, in order; one line answers each."""
    opaque = next_opaque(len(sums))
    parts = []
    for number, one in enumerate(sums, opaque):
        down = b"" if one.delta >= 0 else b" MD"
        refresh = b" T%d" % one.ttl if one.refresh else b""
        step = (one.key, abs(one.delta), down, one.ttl, one.first, refresh, number)
        parts.append(b"ma %b v c D%d%b N%d J%d%b O%d\r\n" % step)
    keys = [one.key for one in sums]
    return Call(b"".join(parts), LINES, "arithmetic_many", (sums,), keys=keys, count=len(keys), opaque=opaque)


def count_many(keys: list[bytes], by: int, first: int, ttl: int) -> Call:
    """Return the request that adds *by* to several numbers; those that are missing become *first*."""
    opaque = next_opaque(len(keys))
    payload = b"".join(
        [b"ma %b v N%d J%d D%d O%d\r\n" % (key, ttl, first, by, n) for n, key in enumerate(keys, opaque)]
    )
    return Call(payload, LINES, "count_many", (by, first, ttl), keys=keys, count=len(keys), opaque=opaque)


class Append(NamedTuple):
    """A record that goes behind the value of *key*, which begins empty and lives *ttl* from now on.

    *instead*: (token, value) that takes the place of what is there first, if it is still that one.
    """

    key: bytes
    record: bytes
    ttl: int
    instead: tuple[int, bytes] | None


def append_many(additions: Sequence[Append]) -> Call:
    """Return the request that appends records and reads what came of their keys.

    Each is the making of an empty value, the record, and the read, behind the store in place of the
    old value where there is one: `append_lines` lines answer it, the last one with the value.
    """
    count = sum(map(append_lines, additions))
    opaque = next_ = next_opaque(count)
    parts = []
    for key, record, ttl, instead in additions:
        if instead is not None:
            cas, value = instead
            parts.append(b"ms %b %d T%d F0 C%d O%d\r\n%b\r\n" % (key, len(value), ttl, cas, next_, value))
            next_ += 1
        parts.append(b"ms %b 0 T%d F0 ME O%d\r\n\r\n" % (key, ttl, next_))
        parts.append(b"ms %b %d MA O%d\r\n%b\r\n" % (key, len(record), next_ + 1, record))
        parts.append(b"mg %b v f c t T%d O%d\r\n" % (key, ttl, next_ + 2))
        next_ += 3
    keys = [one.key for one in additions]
    words = (additions,)
    payload = b"".join(parts)
    return Call(payload, LINES, "append_many", words, keys=keys, count=count, opaque=opaque, is_fatal=True)


def append_lines(addition: Append) -> int:
    """Return how many lines answer an addition."""
    return 3 if addition.instead is None else 4


def line(text: bytes) -> Call:
    """Return a request of one line that one line without a number answers: `version`, `mn`."""
    return Call(text + b"\r\n", LINES, "line", (text,), keys=[])


def flush(delay_s: int = 0) -> Call:
    """Return the request that removes everything, in *delay_s* seconds."""
    text = b"flush_all %d" % delay_s
    return Call(text + b"\r\n", LINES, "flush", (text,), keys=[])


def stats(*words: bytes) -> Call:
    """Return the request of statistics; *words* choose which."""
    return Call(b" ".join((b"stats", *words)) + b"\r\n", STATS, "stats", words, keys=[])
