"""Which part of the visitors gets what: the shares of a split, who is in which, and the cookie that keeps him there.

A visitor's bucket is a pure function of the secret, the split's name and the visitor, so that every
process and machine with the same secret says the same, and nobody who is in a share leaves when it grows.
The shares of a split lie end to end: those after one that grows move on, and some who are in them leave.
(No function of the shares alone keeps everybody where three may grow: who is in the first of 40 % would
be in none of what the second of 60 % leaves, nor in what a third would.)  So a share may say how far it
will grow, `beta 5% up to 20%`: what lies between is nobody's, and while it grows into that nobody else moves.
The component `buckets` and the balancer's split (compiled in balancer/plane/split.pyx) share this.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from typing import NamedTuple

from wsgistack.complaints import gather
from wsgistack.errors import SettingError

__all__ = [
    "LEAST_SECRET",
    "MARK_CHARACTERS",
    "NOBODY",
    "ONE",
    "TOKEN_BYTES",
    "WORD",
    "Share",
    "Split",
    "key_of",
    "make_key",
    "make_split",
    "mark_of",
    "parse_shares",
    "parse_splits",
]

WORD = r"[A-Za-z0-9_.-]{1,64}"
PERCENT = r"([0-9]{1,3}(?:\.[0-9]{1,3})?)\s*%"
SHARE = re.compile(rf"({WORD})\s+{PERCENT}(?:\s+up\s+to\s+{PERCENT})?", re.IGNORECASE)
NAMED = re.compile(rf"\s*(?:({WORD})\s*:)?\s*(.*)", re.DOTALL)
TOKEN_BYTES = 12
MARK_CHARACTERS = 24
LEAST_SECRET = 16  # characters
ONE = 2**32
NOBODY = "-"  # how the bucket of who is in none is written


class Share(NamedTuple):
    """A bucket's share in per cent, and how far it may grow without moving the others."""

    bucket: str
    percent: float
    room: float

    def __str__(self) -> str:
        room = "" if self.room == self.percent else f" up to {self.room:g}%"
        return f"{self.bucket} {self.percent:g}%{room}"


@dataclass(frozen=True, slots=True)
class Split:
    """One split: its name, and its buckets with the upper end of each in 32-bit fractions.

    What lies between two shares, for the first to grow into, is a bucket without a name.
    """

    name: str
    buckets: tuple[tuple[str, int], ...]

    @property
    def names(self) -> list[str]:
        """The names of its buckets."""
        return [name for name, _ in self.buckets if name]

    def place(self, key: bytes, visitor: bytes) -> int:
        """Return where the visitor stands, from 0 to below ONE; always the same for the same arguments."""
        digest = blake2b(visitor, digest_size=4, key=key, person=self.person).digest()
        return int.from_bytes(digest, "big")

    def bucket(self, key: bytes, visitor: bytes) -> str:
        """Return the visitor's bucket, "" if none took him."""
        at = self.place(key, visitor)
        return next((name for name, end in self.buckets if at < end), "")

    @property
    def person(self) -> bytes:
        """What sets its hashes apart from those of other splits."""
        return blake2b(self.name.lower().encode(), digest_size=16).digest()  # as pools are called


def make_key(secret: str) -> bytes:
    """Return what hashes are keyed by; 32 bytes."""
    return key_of(secret.encode())


def key_of(secret: bytes) -> bytes:
    """Return the same of bytes."""
    return blake2b(secret, digest_size=32).digest()


def mark_of(key: bytes, visitor: str) -> str:
    """Return what the cookie says beside the visitor's token, so that nobody else can make one."""
    return blake2b(visitor.encode(), key=key, person=b"visitor").hexdigest()[:MARK_CHARACTERS]


def parse_splits(text: str) -> tuple[Split, ...]:
    """Return the splits of `beta 5%` or `button: green 30%, red 30%; beta 5%`.

    A split without a name is called as its first bucket.  Raises SettingError with what was met.
    """
    parts = [part for part in text.split(";") if part.strip()]
    if not parts:
        raise SettingError("split: no bucket is given; it reads as 'beta 5%' or 'name: a 30%, b 30%'")
    steps: list[Callable[[], Split | None]] = [partial(_check_names, parts)]
    steps += [partial(_parse_split, part) for part in parts]
    made = gather(steps)
    return tuple([split for split in made if split is not None])


def _parse_split(text: str) -> Split:
    name, shares = _find_name(text)
    read = parse_shares(shares)
    return make_split(name or read[0].bucket, read)


def _find_name(text: str) -> tuple[str, str]:
    """Return the name of a split, "" if it has none, and the text of its shares."""
    found = NAMED.fullmatch(text)
    assert found is not None  # it matches anything
    return found[1] or "", found[2]


def _check_names(parts: list[str]) -> None:
    names = [name or shares.split()[0] for name, shares in map(_find_name, parts) if name or shares.split()]
    twice = _repeated([name.lower() for name in names])
    if twice:
        raise SettingError(*(f"split: two splits have the name '{name}'" for name in twice))


def _repeated(names: list[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]


def parse_shares(text: str) -> list[Share]:
    """Return the shares of `a 30%, b 30% up to 50%`; SettingError with each that is none."""
    return gather(partial(_parse_share, share.strip()) for share in text.split(","))


def make_split(name: str, shares: Sequence[Share]) -> Split:
    """Return the split of these shares; SettingError for more than all, or a bucket twice."""
    total = round(sum(share.room for share in shares), 3)  # 29.6 + 34.7 + 35.7 is a little more than 100
    names = [share.bucket for share in shares]
    wrong = [f"its buckets take {total:g} %, more than all"] if total > 100 else []
    if NOBODY in names:
        wrong.append("no bucket can be called '-', which stands for who is in none")
    wrong += [f"the bucket '{bucket}' stands there twice" for bucket in _repeated(names)]
    if wrong:
        raise SettingError(*(f"split '{name}': {text}" for text in wrong))
    ends, taken = [], 0.0
    for bucket, percent, room in shares:
        ends.append((bucket, _fraction(taken + percent)))
        taken += room
        if room > percent:
            ends.append(("", _fraction(taken)))
    return Split(name, tuple(ends))


def _fraction(percent: float) -> int:
    return min(round(percent / 100 * ONE), ONE)


def _parse_share(text: str) -> Share:
    found = SHARE.fullmatch(text)
    if found is None:
        raise SettingError(f"split: '{text}' is not a bucket and its share, such as 'beta 5%'")
    percent, room = float(found[2]), float(found[3] or found[2])
    if max(percent, room) > 100:
        raise SettingError(f"split: '{text}' takes more than all, which is 100%")
    if room < percent:
        raise SettingError(f"split: '{text}' has grown past the {room:g}% that it may")
    return Share(found[1], percent, room)
