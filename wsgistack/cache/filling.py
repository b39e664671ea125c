"""What the application sees while a page is made that others will get: only what the key carries.

Ignored cookies and parameters are gone, hosts have one spelling, and the fields by which a request
can be made to mean another one are withheld.  The environ that came is left as it is: a request that
goes past the cache is untouched.
"""

from __future__ import annotations

from wsgistack.cache.answers import Changes
from wsgistack.cache.keys import RAW, Target
from wsgistack.cache.personal import Anonymous, Visitors
from wsgistack.memos import LONGEST, remember
from wsgistack.wsgi import Environ

__all__ = ["Filling", "changed", "variable_of"]

MOST_NAMES = 1024
CONTENT = {"CONTENT_LENGTH": "content-length", "CONTENT_TYPE": "content-type"}


class Filling:
    """Makes environs for one set of rules; *visitors* say what is withheld."""

    def __init__(self, visitors: Visitors) -> None:
        self._visitors = visitors
        fields, variables = visitors.telling
        # What `Visitors.telling` lists, as variables of an environ.
        self.telling = frozenset([variable_of(name) for name in fields] + list(variables))
        # Of the variables that were met: those that pass as they are, and those that never do.
        self._plain: set[str] = set()
        self._withheld: set[str] = set()

    def environ(self, environ: Environ, target: Target, anonymous: Anonymous) -> Environ:
        """Return the environ for the application; *anonymous* is what was decided about the request."""
        made = dict(environ)
        for name in frozenset(environ) - self._plain:
            if name in self._withheld:
                del made[name]
            elif name[:5] == "HTTP_":
                self._show(made, name)
            else:
                self._learn(name, self._plain)
        for name in ("HTTP_COOKIE", "CONTENT_TYPE"):  # there is no content to have a type
            made.pop(name, None)
        if anonymous.cookie is not None:
            made["HTTP_COOKIE"] = anonymous.cookie
        made["HTTP_HOST"] = target.host
        made["QUERY_STRING"] = target.query
        for name in RAW:
            if name in made:  # it may name a host of its own, which no key carries
                made[name] = target.path + (f"?{target.query}" if target.query else "")
        return made

    def _show(self, made: Environ, name: str) -> None:
        """Leave of a field in *made* what the application may see of it."""
        field = name[5:].lower().replace("_", "-")
        if not self._visitors.is_looked_at(field):
            self._learn(name, self._plain)
            return
        if self._visitors.withholds(field) and field not in self._visitors.kind_fields:
            self._learn(name, self._withheld)
        shown = self._visitors.shown(field, str(made[name]))
        if shown is None:
            del made[name]
        else:
            made[name] = shown

    @staticmethod
    def _learn(name: str, known: set[str]) -> None:
        if len(name) <= LONGEST:  # names come from clients
            if len(known) >= MOST_NAMES:
                known.clear()
            known.add(name)


@remember(1024)
def variable_of(field: str) -> str:
    """Return the variable of an environ that has a field."""
    name = field.upper().replace("-", "_")
    return name if name in CONTENT else "HTTP_" + name


def changed(environ: Environ, changes: Changes) -> Environ:
    """Return *environ* with *changes* made to its fields; itself where nothing differs."""
    made = environ
    for name, value in changes.items():
        variable = variable_of(name)
        if environ.get(variable) == value:  # None: it is not there
            continue
        if made is environ:
            made = dict(environ)
        if value is None:
            made.pop(variable, None)
        else:
            made[variable] = value
    return made
