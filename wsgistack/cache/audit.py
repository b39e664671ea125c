"""`audit`: which request fields the application read although the key does not carry them.

Such a field is what poisons caches: whoever sends it decides what everybody gets.  Only a cache in
the process of the application can see it.  While a page is made the application gets an environ that
takes note of what is read; what the key carries, or the response varies by, is left out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator
from typing import Any, NamedTuple

from wsgistack import forks
from wsgistack.cache.personal import parse_cookies
from wsgistack.cache.telling import tell

__all__ = ["Audit", "Reads", "Unkeyed"]

MOST_FIELDS = 1000
CONTENT = ("CONTENT_TYPE", "CONTENT_LENGTH")
# Part of every key, or taken care of by the cache itself.
CARRIED = frozenset(
    (
        "host",
        "content-length",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "range",
    )
)


class Reads(dict[str, Any]):
    """An environ that knows which fields were read.  *walked*: all of them were, one after the other.

    Who makes a dict of it reads all of them, as far as can be seen from here.
    """

    def __init__(self, environ: dict[str, Any]) -> None:
        super().__init__(environ)
        self.names: set[str] = set()
        self.taken: set[str] = set()  # of them, see Audit.take
        self.walked = False

    def __getitem__(self, name: str) -> Any:
        self._note(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self._note(name)
        return super().get(name, default)

    def __contains__(self, name: object) -> bool:
        self._note(name)
        return super().__contains__(name)

    def pop(self, name: str, *default: Any) -> Any:
        self._note(name)
        return super().pop(name, *default)

    def setdefault(self, name: str, default: Any = None) -> Any:
        self._note(name)
        return super().setdefault(name, default)

    def __iter__(self) -> Iterator[str]:
        self.walked = True
        return super().__iter__()

    def keys(self) -> Any:
        self.walked = True
        return super().keys()

    def values(self) -> Any:
        self.walked = True
        return super().values()

    def items(self) -> Any:
        self.walked = True
        return super().items()

    def copy(self) -> Reads:
        """Return another one whose reads are noted here too, for who passes on a copy."""
        made = Reads(dict(dict.items(self)))
        made.names = self.names
        return made

    def _note(self, name: object) -> None:
        if isinstance(name, str) and (name[:5] == "HTTP_" or name in CONTENT):
            self.names.add(name.removeprefix("HTTP_").lower().replace("_", "-"))


class Unkeyed(NamedTuple):
    """A field that was read and is not in the key.  *cookies*: the names in it, if it is Cookie.

    *url*: of the first page for which it was, *pages*: how many fills it was read for.
    """

    name: str
    url: str
    pages: int
    cookies: tuple[str, ...] = ()


class Audit:
    """What was read over all fills; *carried*: names beside CARRIED that the keys have.

    *shown*: tells whether the application gets a field at all; what is withheld poisons nothing.
    """

    def __init__(self, carried: Collection[str], *, shown: Callable[[str], bool] = lambda name: True) -> None:
        self._carried = CARRIED | {name.lower() for name in carried}
        self._shown = shown
        self._found: dict[str, Unkeyed] = {}
        self._walks: set[str] = set()
        self._lock = threading.Lock()
        forks.register(self)

    def take(self, reads: Reads, *, url: str, varies_by: Collection[str]) -> None:
        """Take note of the reads of one fill since the last time, and warn of a field that was not met before."""
        names = reads.names - reads.taken - self._carried - frozenset(varies_by)
        reads.taken |= reads.names
        for name in sorted(name for name in names if self._shown(name)):
            cookies = _names_of(dict.get(reads, "HTTP_COOKIE")) if name == "cookie" else ()
            with self._lock:
                met = self._found.get(name)
                if met is None and len(self._found) >= MOST_FIELDS:
                    continue
                self._found[name] = (
                    Unkeyed(name, url, 1, cookies)
                    if met is None
                    else met._replace(pages=met.pages + 1, cookies=_merge(met.cookies, cookies))
                )
            if met is None:
                tell("unkeyed-field-read", field=name, url=url)
        if reads.walked:
            with self._lock:
                if len(self._walks) < MOST_FIELDS:
                    self._walks.add(url)

    def forked(self) -> None:
        """Make the lock anew: what it guards is changed in one step each."""
        self._lock = threading.Lock()

    def report(self) -> list[Unkeyed]:
        """Return the fields that were read and are in no key, by name."""
        return [self._found[name] for name in sorted(self._found)]

    def walked(self) -> list[str]:
        """Return the URLs for which the application went over all fields: nobody knows what it used."""
        return sorted(self._walks)


def _names_of(cookie: str | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name, _ in parse_cookies(cookie or "") or ()))


def _merge(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*one, *other)))[:100]
