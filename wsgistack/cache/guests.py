"""A request of an anonymous visitor as the application sees it, and as pages are chosen for it."""

from __future__ import annotations

from itertools import islice

from wsgistack.cache.codings import FIELD, Codings
from wsgistack.cache.filling import Filling, variable_of
from wsgistack.cache.keys import Target
from wsgistack.cache.personal import Anonymous, Personal, Visitors
from wsgistack.cache.vary import Selecting
from wsgistack.wsgi import Environ, EnvironRequest

__all__ = ["EVERYBODY", "Guest", "Guests"]

MOST_KINDS = 64
# What pages that are nobody's guests' are kept for: no guest is of this kind, whatever the rules are.
EVERYBODY: Selecting = (("profile:rfc9111", None),)


class Guest(EnvironRequest):
    """The request without what is withheld, so that a page that varies by Cookie fits every guest.

    A cookie that is ignored is as none, for the application and for Vary alike.
    """

    __slots__ = ("_codings", "_visitors", "anonymous")

    def __init__(self, environ: Environ, visitors: Visitors, anonymous: Anonymous, codings: Codings) -> None:
        super().__init__(environ)
        self._visitors = visitors
        self._codings = codings
        self.anonymous = anonymous

    def field(self, name: str) -> str | None:
        """Return the combined value of a field as far as it is shown."""
        if name == "cookie":
            return self.anonymous.cookie
        value = EnvironRequest.field(self, name)
        if name == FIELD and self._codings:
            return self._codings.choose(value)
        return None if value is None else self._visitors.shown(name, value)


class Guests:
    """Says who is a guest, and makes what the application sees of one."""

    def __init__(self, visitors: Visitors, codings: Codings) -> None:
        self._visitors = visitors
        self._codings = codings
        self._filling = Filling(visitors)
        self.judge, self.cookies = visitors.judge_cookies, visitors.kinds
        self.owners = {variable_of(name): owner for name, owner in visitors.owners.items()}
        self.of_kind = frozenset(map(variable_of, visitors.kind_fields))
        self.anonymous = visitors.nobody
        self.nobody: Selecting = self.anonymous.dimensions

    def kinds(self) -> list[Selecting] | None:
        """Return the dimensions of every kind of guest; None where there are too many to go through."""
        kinds = list(islice(self._visitors.all_dimensions(), MOST_KINDS + 1))
        return kinds if len(kinds) <= MOST_KINDS else None

    @property
    def telling(self) -> frozenset[str]:
        """The variables of which a request that has none is anybody's."""
        return self._filling.telling

    def plain(self, environ: Environ, anonymous: Anonymous | None = None) -> Guest:
        """Return the request of a guest who is known to tell nothing, or to be *anonymous*."""
        return Guest(environ, self._visitors, anonymous or self.anonymous, self._codings)

    def admit(self, request: EnvironRequest) -> Guest | Personal:
        """Return the request of a guest, or why it is somebody's own."""
        tells = self._filling.telling.intersection(request.environ)
        is_of_kind = tells <= self.of_kind  # as behind every proxy, which tells the scheme
        found = self._visitors.decide(request, tells_nothing=not tells, tells_kind=is_of_kind)
        if isinstance(found, Personal):
            return found
        return Guest(request.environ, self._visitors, found, self._codings)

    def environ(self, environ: Environ, target: Target, guest: Guest) -> Environ:
        """Return the environ for the application."""
        return self._codings.show(self._filling.environ(environ, target, guest.anonymous))
