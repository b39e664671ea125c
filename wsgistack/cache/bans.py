"""The ledger of purges: a number that grows with each, and what each was about.  Engine.

A page carries the number that was known when its request was sent; a ban of a higher number that fits
the page makes it worthless, or old when it is *soft*.  So a purge costs one entry in the ledger,
whatever number of pages it is about, holds for pages that are on their way, and compares no clocks.

What the ledger has no room for raises its *base*: pages below are taken for purged.  A ledger that is
lost begins anew above everything that was ever stored: the caches are empty then, never wrong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from fnmatch import translate
from functools import lru_cache
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

from wsgistack.errors import ArgumentError

__all__ = ["MOST_BANS", "Ban", "Ledger", "Subject", "Verdict", "read_ledger", "write_ledger"]

MOST_BANS = 4096
LONGEST_TEXT = 8192


class Subject(Protocol):
    """What a ban looks at of a page."""

    @property
    def url(self) -> str:
        """Its absolute URL."""
        ...

    @property
    def tags(self) -> tuple[str, ...]:
        """What it can be purged by."""
        ...

    @property
    def received_at(self) -> float:
        """When it was received, in seconds since the epoch."""
        ...

    def field(self, name: str) -> str | None:
        """Return the combined value of a response field."""
        ...


@dataclass(frozen=True, slots=True)
class Ban:
    """Pages that are not to be used any more; all that is given must fit.

    *url*: one absolute URL, all its variants.  *prefix*: of absolute URLs.  *tag*: as the page was
    given it.  *origin*: scheme and authority, for tags that mean something on one site only.
    *host*, *path*: globs.  *header*: a response field's name, *value* a glob of what it says.
    *older_s*: pages that were received longer ago than that.  *everything* needs to be said.
    *soft*: they are old, not gone: they may be used while they are fetched anew, as their terms allow.
    """

    url: str = ""
    prefix: str = ""
    tag: str = ""
    origin: str = ""
    host: str = ""
    path: str = ""
    header: str = ""
    value: str = "*"
    older_s: float | None = None
    everything: bool = False
    soft: bool = False

    def check(self) -> Ban:
        """Return it, or raise ArgumentError for one that is about nothing or cannot be meant."""
        texts = {name: getattr(self, name) for name in TEXTS}
        for name, text in texts.items():
            if not isinstance(text, str) or len(text) > LONGEST_TEXT or "\0" in text:
                raise ArgumentError(
                    f"purge: {name}: {text!r:.80} is not text of at most {LONGEST_TEXT} characters"
                )
        older = self.older_s
        if older is not None and (
            isinstance(older, bool) or not isinstance(older, int | float) or not 0 <= older < 1e10
        ):
            raise ArgumentError(f"purge: older_s: {older!r} is not a number of seconds from 0")
        about = [name for name in TEXTS if name not in ("origin", "value") and texts[name]]
        if not about and older is None and not self.everything:
            raise ArgumentError(f"purge: nothing is said; one of {', '.join(TEXTS)}, older_s or everything")
        return self

    def fits(self, page: Subject, at: float) -> bool:
        """Tell whether the page is meant; *at* is when the ban was made."""
        if self.url and page.url != self.url:
            return False
        if self.prefix and not page.url.startswith(self.prefix):
            return False
        if self.tag and self.tag not in page.tags:
            return False
        if self.origin and not page.url.startswith(self.origin + "/"):
            return False
        if self.older_s is not None and page.received_at >= at - self.older_s:
            return False
        if self.header and not _fits_glob(self.value, page.field(self.header.lower())):
            return False
        if not self.host and not self.path:
            return True
        parts = urlsplit(page.url)
        return (not self.host or _fits_glob(self.host.lower(), parts.netloc)) and (
            not self.path or _fits_glob(self.path, parts.path)
        )


TEXTS = ("url", "prefix", "tag", "origin", "host", "path", "header", "value")
NAMES = (*TEXTS, "older_s", "everything", "soft")


@lru_cache(maxsize=1024)
def _compile(glob: str) -> re.Pattern[str]:
    return re.compile(translate(glob))


def _fits_glob(glob: str, text: str | None) -> bool:
    return text is not None and _compile(glob).match(text) is not None


class Verdict(NamedTuple):
    """What became of a page: *is_gone*, or old since *old_at* (seconds since the epoch); *by*: the ban."""

    is_gone: bool
    old_at: float | None
    by: Ban | None


GONE_BELOW_BASE = Verdict(is_gone=True, old_at=None, by=None)


@dataclass(frozen=True, slots=True)
class Entered(Ban):
    """A ban in the ledger: its number, and when it was made."""

    serial: int = 0
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Ledger:
    """All bans that count.  *serial*: of the last one.  *base*: pages below it are gone."""

    base: int
    serial: int
    bans: tuple[Entered, ...] = ()
    _by_url: dict[str, list[Entered]] = field(init=False, repr=False, compare=False)
    _by_tag: dict[str, list[Entered]] = field(init=False, repr=False, compare=False)
    _others: list[Entered] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_url: dict[str, list[Entered]] = {}
        by_tag: dict[str, list[Entered]] = {}
        others = []
        for ban in self.bans:
            if ban.url:
                by_url.setdefault(ban.url, []).append(ban)
            elif ban.tag:
                by_tag.setdefault(ban.tag, []).append(ban)
            else:
                others.append(ban)
        object.__setattr__(self, "_by_url", by_url)
        object.__setattr__(self, "_by_tag", by_tag)
        object.__setattr__(self, "_others", others)

    def judge(self, page: Subject, generation: int) -> Verdict | None:
        """Return what became of a page of that generation, None if nothing did."""
        if generation < self.base:
            return GONE_BELOW_BASE
        if generation >= self.serial:
            return None
        old: Entered | None = None
        for ban in self._about(page):
            if ban.serial > generation and ban.fits(page, ban.at):
                if not ban.soft:
                    return Verdict(is_gone=True, old_at=None, by=ban)
                if old is None or ban.at < old.at:
                    old = ban
        return None if old is None else Verdict(is_gone=False, old_at=old.at, by=old)

    def _about(self, page: Subject) -> Iterable[Entered]:
        yield from self._by_url.get(page.url, ())
        for tag in page.tags:
            yield from self._by_tag.get(tag, ())
        yield from self._others

    def with_bans(self, bans: Iterable[Ban], at: float) -> Ledger:
        """Return the ledger with *bans* made *at*.

        One that says the same as an older one stands for it; a hard one for a soft one too.
        """
        serial, kept = self.serial, {_says(ban): ban for ban in self.bans}
        for ban in bans:
            serial += 1
            said = {name: getattr(ban, name) for name in NAMES}
            if not ban.soft:
                kept.pop(_says(replace(ban, soft=True)), None)
            kept.pop(_says(ban), None)
            kept[_says(ban)] = Entered(**said, serial=serial, at=at)
        entered = list(kept.values())
        gone = entered[: max(len(entered) - MOST_BANS, 0)]
        base = max([self.base, *[ban.serial for ban in gone]])
        return Ledger(base, serial, tuple(entered[len(gone) :]))


def _says(ban: Ban) -> tuple[object, ...]:
    return tuple([getattr(ban, name) for name in NAMES])


def write_ledger(ledger: Ledger) -> bytes:
    """Return the ledger as JSON."""
    bans = [
        [ban.serial, ban.at, {n: getattr(ban, n) for n in NAMES if getattr(ban, n) != getattr(_PLAIN, n)}]
        for ban in ledger.bans
    ]
    return json.dumps({"base": ledger.base, "serial": ledger.serial, "bans": bans}).encode("ascii")


_PLAIN = Ban()


def read_ledger(raw: bytes | None) -> Ledger | None:
    """Return the ledger that *raw* holds, None for anything else."""
    if raw is None:
        return None
    try:
        read = json.loads(raw)
        base, serial = read["base"], read["serial"]
        bans = [
            Entered(**{**said, "serial": int(number), "at": float(at)}) for number, at, said in read["bans"]
        ]
        for ban in bans:
            ban.check()
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    if type(base) is not int or type(serial) is not int or not 0 <= base <= serial < 2**63:
        return None
    return Ledger(base, serial, tuple(bans))
