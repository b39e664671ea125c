"""What an environ says at first sight: somebody's own, or just a page whose place is known already.

Most requests are such.  Who brings a session goes past the cache for the price of a look at the
cookies; for a plain GET, with no condition, no range and nothing that could be anybody's, what leads
from an environ to the place of its page (hosts, paths, rules, parameters) is not thought out again.

Passing lets such requests through without a frame of the cache around the application: those that are
somebody's own, and those for pages that were not kept a moment ago, of which only the head is looked at.

`wsgistack.cache.shortcut_cy` has the compiled twins; `shortcuts` picks one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from wsgistack.cache.found import Found, Place
from wsgistack.cache.personal import Anonymous, Personal
from wsgistack.cache.status import refused
from wsgistack.cache.storing import TELLING
from wsgistack.cache.voice import ENVIRON_KEY, Voice
from wsgistack.memos import size_of
from wsgistack.passage import Instead, Passage
from wsgistack.wsgi import Environ

__all__ = ["Asked", "Lately", "OfKind", "Passing", "Shortcut", "Verdict", "Witness"]

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
MOST_REASONS = 256
NOTHING_SAID = refused("uri-miss", "no-lifetime")
# What a component may have said without changing whether a page that says no lifetime is kept.
OF_NO_MATTER: tuple[dict[str, object], ...] = ({}, {"has_made_tag": True})
OF_THE_REQUEST = ("HTTP_AUTHORIZATION", "HTTP_CACHE_CONTROL")

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
    nothing.  *kinds*: what it learned of them by name, for who reads cookies as it does.  *owners*: what a variable says whose mere presence makes a request
    somebody's.  *of_kind*: variables that choose between pages, and tell nothing else.  *keyed*: a variable by which places differ and that tells nothing else, "" for none.
    *learns*: what is no somebody's own can be told by the environ's variables alone.
    """

    __slots__ = ("_judge", "_learns", "_names", "_nobody", "_of_kind", "_owners", "_telling", "_verdicts")

    def __init__(
        self,
        telling: Iterable[str],
        judge: Callable[[str], Anonymous | Personal] | None = None,
        *,
        kinds: Mapping[str, str | Personal] | None = None,
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


class Lately(Protocol):
    """What is known of pages that were made a moment ago."""

    alone: Mapping[
        str, tuple[float, bool]
    ]  # until when each key's requests go alone, and whether nothing lies there
    clock: Callable[[], float]
    is_usual: bool  # no field but those of `storing.TELLING` says anything of storing

    def closely(self, passage: Passage, place: Place, voice: Voice) -> str:
        """Return what Cache-Status says of a response, as if it were to be kept."""
        ...


class Passing:
    """Lets requests pass the cache: somebody's own, and plain GETs for pages that were not kept *lately*.

    *told(why)*: what Cache-Status says of the former.  *lately*: None where each is to be looked at all
    the same.  *otherwise*: answers instead of what is further inside.
    """

    __slots__ = ("_lately", "_otherwise", "_shortcut", "_told")

    def __init__(
        self,
        shortcut: Shortcut,
        told: Callable[[str], str],
        lately: Lately | None,
        otherwise: Callable[[Environ, Verdict], Instead],
    ) -> None:
        self._shortcut = shortcut
        self._told = told
        self._lately = lately
        self._otherwise = otherwise

    def enter(self, environ: Environ, passage: Passage, /) -> Instead | None:
        """Let a request pass, or have it answered otherwise."""
        verdict = self._shortcut.read(environ)
        if isinstance(verdict, Personal):
            environ[ENVIRON_KEY] = Voice()  # so that the application need not ask whether it is there
            passage.mark(("Cache-Status", self._told(verdict.why)))
            return None
        place = verdict.place if isinstance(verdict, OfKind) else verdict
        if self._lately is None or not isinstance(place, Place) or not self._is_known_to_be_none(place):
            return self._otherwise(environ, verdict)
        environ[ENVIRON_KEY] = Voice()
        passage.mark_by(self.mark, place)
        return None

    def _is_known_to_be_none(self, place: Place) -> bool:
        assert self._lately is not None
        alone = self._lately.alone.get(place.key.text)
        return alone is not None and alone[1] and alone[0] > self._lately.clock()

    def mark(self, passage: Passage, place: Place) -> str:
        """Return what Cache-Status says of a response to a request that passed."""
        assert self._lately is not None
        environ, fields, voice = passage.environ, passage.fields, passage.environ.get(ENVIRON_KEY)
        if not isinstance(voice, Voice):  # what the application put there is nothing that could say something
            voice = Voice()
        if (
            self._lately.is_usual
            and passage.head[:3] == "200"
            and vars(voice) in OF_NO_MATTER
            and TELLING.isdisjoint(fields)
            and len(fields) == len(passage.headers)
            and ("etag" not in fields or voice.has_made_tag)
            and "*" not in fields.get("vary", "")
            and OF_THE_REQUEST[0] not in environ
            and OF_THE_REQUEST[1] not in environ
        ):
            voice.too_late_for = place.target
            return NOTHING_SAID
        return self._lately.closely(passage, place, voice)
