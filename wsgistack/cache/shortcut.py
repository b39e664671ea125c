"""What an environ says at first sight: somebody's own, or just a page whose place is known already.

Most requests are such.  Who brings a session goes past the cache for the price of a look at the
cookies; for a plain GET, with no condition, no range and nothing that could be anybody's, what leads
from an environ to the place of its page (hosts, paths, rules, parameters) is not thought out again.

`wsgistack.cache.shortcut_cy` has the compiled twin of Shortcut; `shortcuts` picks one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from wsgistack.cache.found import Found, Place
from wsgistack.cache.personal import Anonymous, Personal
from wsgistack.memos import size_of
from wsgistack.wsgi import Environ

__all__ = ["Asked", "OfKind", "Shortcut", "Verdict", "Witness"]

MOST_PLACES = 4096
LONGEST_ASKED = 1024  # characters of all that was asked: the path stands there up to three times
# The variables that lead to a place.
OF_A_PLACE = (
    "HTTP_HOST",
    "PATH_INFO",
    "QUERY_STRING",
    "RAW_URI",
    "REQUEST_URI",
    "SCRIPT_NAME",
    "wsgi.url_scheme",
    "SERVER_NAME",
    "SERVER_PORT",
)
READS = frozenset(("GET", "HEAD"))

Asked: TypeAlias = "tuple[object, ...]"
Verdict: TypeAlias = "Personal | Place | OfKind | Asked | None"


@dataclass(frozen=True, slots=True)
class OfKind:
    """The place of the page of a plain GET with cookies or fields that are nobody's own, but choose between pages."""

    place: Place
    anonymous: Anonymous


class Witness(Protocol):
    """Who wants to know which requests were answered by this way: it may answer the next ones itself.

    *mark* is read before a look at the store, and given back with what was found.
    """

    @property
    def mark(self) -> int:
        """Another number whenever what is stored may have changed."""
        ...

    def answered(self, environ: Environ, place: Place, found: Found, mark: int) -> None:
        """Take note that *found* answered a plain request for *place*."""
        ...


class Shortcut:
    """Verdicts by environ; *telling*: variables with which a request is more than a plain one.

    *judge*: tells of cookies whose they are, *nobody* of those that are as none; None: cookies tell
    nothing.  *owners*: what a variable says whose mere presence makes a request
    somebody's.  *of_kind*: variables that choose between pages, and tell nothing else.  *keyed*: a variable by which places differ and that tells nothing else, "" for none.
    *learns*: what is no somebody's own can be told by the environ's variables alone.
    """

    __slots__ = ("_judge", "_learns", "_names", "_nobody", "_of_kind", "_owners", "_telling", "_verdicts")

    def __init__(
        self,
        telling: Iterable[str],
        judge: Callable[[str], Anonymous | Personal] | None = None,
        *,
        nobody: Anonymous | None = None,
        owners: Mapping[str, Personal] | None = None,
        of_kind: Iterable[str] = (),
        keyed: str = "",
        learns: bool = True,
    ) -> None:
        cookies = () if judge is None else ("HTTP_COOKIE",)
        self._telling = frozenset(telling) - {keyed, *cookies}
        self._judge = judge
        self._nobody = nobody
        self._owners = owners or {}
        self._of_kind = frozenset(of_kind) - {keyed, *cookies}
        self._names = (*OF_A_PLACE, keyed, *self._of_kind)
        self._learns = learns
        self._verdicts: dict[Asked, Place | OfKind | Personal] = {}

    def read(self, environ: Environ) -> Verdict:
        """Return what is known of a request by its variables; pure, and nothing but a look at these.

        Personal for one that goes past the cache, the place of the page of a plain GET (an OfKind where
        more than that chooses it), or what to `learn` that for; None where only a closer look tells, as for all but GET and HEAD.
        """
        method, get = environ["REQUEST_METHOD"], environ.get
        kind: str | None = None
        if method not in READS:
            return None
        judge, cookies = self._judge, get("HTTP_COOKIE")
        if judge is not None and cookies is not None:
            whose = judge(cookies)
            if isinstance(whose, Personal):
                return whose
            if whose is not self._nobody:
                kind = whose.cookie  # None: as good as nobody's
        told = self._telling.intersection(environ)
        if told and not told <= self._of_kind:  # of several, the closer look tells which
            return self._owners.get(next(iter(told))) if len(told) == 1 else None
        if not self._learns or method != "GET":
            return None
        asked = (kind, *map(get, self._names))
        return self._verdicts.get(asked, asked)

    def learn(self, asked: Asked, found: Place | Personal, anonymous: Anonymous | None = None) -> None:
        """Remember what was *found* for *asked*, unless that is long; *anonymous*: whose pages lie there."""
        verdict: Place | OfKind | Personal = found
        kind = asked[0], *asked[len(OF_A_PLACE) + 2 :]
        if isinstance(found, Place) and anonymous is not None and kind.count(None) < len(kind):
            verdict = OfKind(found, anonymous)
        if size_of(asked) <= LONGEST_ASKED:
            if len(self._verdicts) >= MOST_PLACES:
                self._verdicts.clear()
            self._verdicts[asked] = verdict
