"""What to do with what `fetch` found: serve it, make it anew, or wait for whoever makes it; pure.

The server decides who makes a value: the mark W goes to one asker (memcached's protocol.txt,
"Meta Get", flags N and R).  Where no server decides, each asker draws lots so that about one of
them begins before the end: XFetch (Vattani, Chierichetti, Lowenstein, VLDB 2015).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from wsgistack.store.memcached.envelope import Envelope
from wsgistack.store.memcached.replies import Reply

__all__ = ["Make", "Outdated", "Serve", "Stored", "Verdict", "WaitForOther", "judge"]

LEAST_DRAW = 1e-12  # ln(0) is nothing to multiply with


@dataclass(frozen=True, slots=True)
class Stored:
    """What is there: the bytes and flags inside of the envelope, and the envelope."""

    body: bytes
    flags: int
    envelope: Envelope


@dataclass(frozen=True, slots=True)
class Serve:
    """Give this to the caller.  *is_stale*: somebody else makes it anew."""

    stored: Stored
    is_stale: bool


@dataclass(frozen=True, slots=True)
class Make:
    """Make the value, and store it if the item is still the one of *cas* (None: there is no lease).

    *old*: what may be served if making it fails.
    """

    cas: int | None
    old: Stored | None
    is_stub: bool


@dataclass(frozen=True, slots=True)
class WaitForOther:
    """Somebody else makes it, and there is nothing to serve until then."""


@dataclass(frozen=True, slots=True)
class Outdated:
    """A tag was invalidated: mark the item of *cas* as stale, so that one asker makes it, and look again."""

    cas: int


Verdict = Serve | Make | WaitForOther | Outdated


def judge(
    reply: Reply | None,
    stored: Stored | None,
    versions: Mapping[str, int | None],
    *,
    grace: float,
    now: float,
    draw: Callable[[], float],
) -> Verdict:
    """Return what to do about *reply* to a lease.

    *stored* is what it holds, None for nothing or nothing readable.  *versions* of the tags that
    the caller or the item has, None where there is none.  *now* is the time of day.
    """
    if reply is None or reply.code != b"VA" or reply.ttl == -2:
        return _judge_without_marks(stored, versions, now, draw)
    won, taken = b"W" in reply.marks, b"Z" in reply.marks
    is_stub = reply.value == b"" and reply.flags == 0
    if stored is None:
        return Make(reply.cas, None, is_stub) if won else WaitForOther() if taken else Make(None, None, False)
    is_outdated = not _is_current(stored, versions)
    is_stale = b"X" in reply.marks or (reply.ttl >= 0 and reply.ttl < grace)
    may_serve = grace > 0 or not (is_outdated or is_stale)
    old = stored if may_serve else None
    if won:
        return Make(reply.cas, old, is_stub=False)
    if is_outdated and b"X" not in reply.marks:
        return Outdated(reply.cas)
    if old is not None:
        return Serve(stored, is_stale or is_outdated)
    return WaitForOther() if taken else Make(None, None, False)


def _is_current(stored: Stored, versions: Mapping[str, int | None]) -> bool:
    return all(versions.get(name) == version for name, version in stored.envelope.tags.items())


def _judge_without_marks(
    stored: Stored | None, versions: Mapping[str, int | None], now: float, draw: Callable[[], float]
) -> Verdict:
    if stored is None or not _is_current(stored, versions):
        return Make(None, None, is_stub=False)
    envelope = stored.envelope
    if envelope.ends_at:
        ahead_s = envelope.took_s * -math.log(max(draw(), LEAST_DRAW))
        if now + ahead_s >= envelope.ends_at:
            return Make(None, stored, is_stub=False)
    return Serve(stored, is_stale=False)
