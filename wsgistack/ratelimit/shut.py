"""Whom an operator shut out: a list beside the limits, which every process looks at now and then.

    list = *( until " " rule " " key LF )       ; until: microseconds since the epoch; rule: a name, or "*"
                                                ; key: hexadecimal digits

It costs nobody anything while it is empty, and one look-up a key where it is not.  A store in trouble
keeps the list of before.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

from wsgistack import forks
from wsgistack.errors import SettingError, StoreError
from wsgistack.ratelimit.bans import Ban
from wsgistack.ratelimit.decision import Decision, Judge
from wsgistack.ratelimit.fields import make_teller
from wsgistack.ratelimit.limits import Limit
from wsgistack.ratelimit.notes import Change, Note
from wsgistack.ratelimit.rates import UNLIMITED
from wsgistack.ratelimit.rules import Rule
from wsgistack.ratelimit.table import Claim
from wsgistack.ratelimit.tellers import Teller

__all__ = ["ANY", "LOOK_US", "MOST_BANS", "Shut", "ShutList", "ShutOut"]

LOOK_US = 1_000_000  # where looking costs a system call
NEVER_US = 1 << 62
MOST_BANS = 1_000  # 60 kB that every process reads when they change; a file of networks takes more
ANY = "*"  # every rule
NOTHING_TOLD = make_teller([])
log = logging.getLogger(__name__)


class Shut(NamedTuple):
    """One who is shut out: under which *rule* (ANY: every one), by which *key*, *until* when."""

    until: int
    rule: str
    key: bytes


class ShutList:
    """Who is shut out, as *note* has it, which is read every *every_us* (0: nobody else writes it).

    `look_at` is when a decision has to ask `find`, 0 for always.  Safe for threads and greenlets.
    """

    def __init__(self, rules: Sequence[Rule], note: Note, every_us: int = 0) -> None:
        self.tell: Callable[[], None] = _nothing  # called when look_at has changed by a ban
        self._ends_at = 0  # of all bans
        self._note = note
        self._every_us = every_us
        self._read_at = self.look_at = 0 if every_us else NEVER_US
        # From a change of the list until it is known here: else an older one would be put in its place.
        self._lock = threading.Lock()
        forks.register(self)
        self._heir: ShutList | None = None  # whoever speaks to this list means that one, too
        self._text = b""
        self._until: dict[tuple[str, bytes], int] = {}
        # What an answer says of a ban: the status of its rule, and no other limit.
        ban = Ban(1, 1, 1, 1)
        self._limits = {rule.name: Limit(-1, f"{rule.name}-ban", UNLIMITED, rule, ban) for rule in rules}

    def find(self, claims: Sequence[Claim], limits: Sequence[Limit], now: int) -> tuple[Limit, int] | None:
        """Return what shuts a request with these *claims* out, and for how long; None if nothing does."""
        if now >= self._read_at:
            self._look(now)
        if self._until:
            for number, key, _ in claims:
                rule = limits[number].rule.name
                until = max(self._until.get((rule, key), 0), self._until.get((ANY, key), 0))
                if until > now:
                    return self._limits[rule], until - now
            if now >= self._ends_at and self._lock.acquire(blocking=False):  # no request waits for operators
                try:
                    self._take(self._text, now)
                finally:
                    self._lock.release()
        return None

    def shown(self, now: int) -> list[Shut]:
        """Return everybody who is shut out, who is so for longest first; raises StoreError."""
        return sorted(_live(self._note.read(), now), reverse=True)

    def put(self, one: Shut, now: int) -> None:
        """Shut somebody out; SettingError where too many are already.  Raises StoreError."""

        def change(text: bytes) -> bytes:
            others = [old for old in _live(text, now) if old[1:] != one[1:]]
            if len(others) >= MOST_BANS:
                raise SettingError(f"ban: {MOST_BANS} are shut out already; deny_file is for more")
            return _show([*others, one])

        self._change(change, now)

    def drop(self, rule: str, key: bytes, now: int) -> bool:
        """Let somebody in again under *rule* (ANY: every one); return whether he was shut out."""
        dropped: list[Shut] = []

        def change(text: bytes) -> bytes:
            kept = _live(text, now)
            dropped[:] = [one for one in kept if one.key == key and rule in (ANY, one.rule)]
            return _show([one for one in kept if one not in dropped])

        self._change(change, now)
        return bool(dropped)

    def follow(self, rules: Sequence[Rule]) -> ShutList:
        """Return the same list for other *rules*."""
        other = ShutList(rules, self._note, self._every_us)
        with self._lock:
            other._lock, other._read_at = self._lock, self._read_at
            other._text, other._until, other._ends_at = self._text, self._until, self._ends_at
            other.look_at = self.look_at
            self._heir = other
        return other

    def move(self, note: Note, now: int) -> None:
        """Keep the list at *note* from now on, who is shut out already included; raises StoreError."""
        before = _live(self._text, now)
        self._note, self._every_us, self._read_at = note, LOOK_US, 0
        self.look_at = 0
        for one in before:
            self.put(one, now)

    def forked(self) -> None:
        """Make the lock anew: who was inside stays in the parent."""
        self._lock = threading.Lock()

    def _change(self, change: Change, now: int) -> None:
        with self._lock:
            text = self._note.change(change)
            one: ShutList | None = self
            while one is not None:
                one._take(text, now)
                one = one._heir

    def _look(self, now: int) -> None:
        self._read_at = now + self._every_us
        try:
            text = self._note.read()
        except StoreError as error:
            log.warning("bans_kept reason=%r", str(error))
            return
        finally:
            self.look_at = 0 if self._until else self._read_at
        if text != self._text or self._until:
            self._take(text, now)

    def _take(self, text: bytes, now: int) -> None:
        self._text = text
        self._until = {(one.rule, one.key): one.until for one in _live(text, now)}
        self._ends_at = max(self._until.values(), default=0)
        self.look_at = 0 if self._until else self._read_at
        self.tell()


def _nothing() -> None:
    pass


class ShutOut(Decision):
    """The decision about somebody who is shut out: no limit was looked at, and none is told of."""

    def __init__(
        self, limiter: Judge, claims: Sequence[Claim], now: int, refused: Limit, wait_us: int
    ) -> None:
        super().__init__(limiter, (), now, (), refused, wait_us)
        self._shut = claims

    def told(self) -> tuple[Teller, Sequence[None], int]:
        """See fields.Decided: nothing is told."""
        return NOTHING_TOLD, (), self._now

    def about(self) -> list[tuple[str, bytes]]:
        """See Decision."""
        return self._places(self._shut)

    def refused_by(self) -> list[tuple[str, bytes]]:
        """See Decision."""
        return self._places(self._shut)[:1]


def _live(text: bytes, now: int) -> list[Shut]:
    found = []
    for line in text.decode("ascii", "replace").splitlines():
        try:
            until, rule, key = line.split(" ")
            one = Shut(int(until), rule, bytes.fromhex(key))
        except ValueError:
            continue  # none of ours
        if one.until > now:
            found.append(one)
    return found


def _show(bans: Sequence[Shut]) -> bytes:
    return "".join([f"{one.until} {one.rule} {one.key.hex()}\n" for one in bans]).encode()
