"""The place of a request that asks for just a page, remembered by what its environ says.

Most requests are such: no condition, no range, nothing that could be anybody's.  What leads from an
environ to the place of its page (hosts, paths, rules, parameters) need not be thought out again then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from wsgistack.cache.personal import Personal
from wsgistack.cache.shelf import Found, Place
from wsgistack.wsgi import Environ

__all__ = ["Shortcut", "Witness"]

MOST_PLACES = 4096
COOKIES = frozenset(("HTTP_COOKIE",))

Asked = tuple[object, ...]


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
    """Places by environ; *telling*: variables with which a request is more than a plain one.

    *judge*: tells of cookies, where they are among these, whose they are: True for nobody's, False
    where they make a page of their own.  *keyed*: a variable by which places differ and that tells
    nothing else, "" for none.
    """

    __slots__ = ("_judge", "_keyed", "_places", "_telling")

    def __init__(
        self, telling: Iterable[str], judge: Callable[[str], bool | Personal], *, keyed: str = ""
    ) -> None:
        self._telling = frozenset(telling) - {keyed}
        self._judge = judge
        self._keyed = keyed
        self._places: dict[Asked, Place] = {}

    def read(self, environ: Environ) -> Asked | Personal | None:
        """Return all that the place of a request depends on, None for what is no plain GET.

        Personal where its cookies are somebody's.
        """
        if environ["REQUEST_METHOD"] != "GET":
            return None
        tells = self._telling.intersection(environ)
        if tells:
            whose = self._judge(environ["HTTP_COOKIE"]) if tells == COOKIES else False
            if whose is not True:
                return whose or None
        get = environ.get
        return (
            get("HTTP_HOST"),
            get("PATH_INFO"),
            get("QUERY_STRING"),
            get("RAW_URI"),
            get("REQUEST_URI"),
            get("SCRIPT_NAME"),
            get("wsgi.url_scheme"),
            get("SERVER_NAME"),
            get("SERVER_PORT"),
            get(self._keyed),
        )

    def find(self, asked: Asked) -> Place | None:
        """Return the place that was learned for *asked*."""
        return self._places.get(asked)

    def learn(self, asked: Asked, place: Place) -> None:
        """Remember *place* for *asked*."""
        if len(self._places) >= MOST_PLACES:
            self._places.clear()
        self._places[asked] = place
