"""One form of a page for each content coding that it is made in, whatever clients write.  RFC 9111 §4.1

`gzip`, `gzip, deflate, br` and `GZIP;q=0.9` may all lead to the same bytes, and each would be a variant
of its own.  Where it is known in which codings pages are made, a client's Accept-Encoding is read here,
once, and one word stands in its place: the coding that it asks for, or `identity`.  Pages are chosen by
that word, and the application sees that word while a page is made, so that nothing can lie under a word
that its request did not have.  `identity` is also what a request without the field becomes: without
one, any coding would be right (RFC 9110 §12.5.3), and the page is not only for that client.
"""

from __future__ import annotations

from collections.abc import Iterable

from wsgistack.http.codings import find_coding, read_codings
from wsgistack.memos import remember
from wsgistack.wsgi import Environ, EnvironRequest

__all__ = ["FIELD", "CodedRequest", "Codings"]

FIELD = "accept-encoding"
VARIABLE = "HTTP_ACCEPT_ENCODING"


class Codings:
    """The codings that pages are made in, the preferred first; none: every request is as it came.

    Raises SettingError for what is no coding.
    """

    __slots__ = ("choose", "names")

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.names = offered = read_codings(names, setting="codings")

        @remember(1024)
        def choose(accepted: str | None) -> str:
            return find_coding(accepted, offered)

        self.choose = choose

    def __bool__(self) -> bool:
        return bool(self.names)

    def see(self, environ: Environ) -> EnvironRequest:
        """Return the request of *environ* as pages are chosen for it."""
        return CodedRequest(environ, self) if self.names else EnvironRequest(environ)

    def show(self, environ: Environ) -> Environ:
        """Return *environ* as the application is to see it while a page is made."""
        return environ | {VARIABLE: self.choose(environ.get(VARIABLE))} if self.names else environ


class CodedRequest(EnvironRequest):
    """A request whose Accept-Encoding is one word."""

    __slots__ = ("_codings",)

    def __init__(self, environ: Environ, codings: Codings) -> None:
        super().__init__(environ)
        self._codings = codings

    def field(self, name: str) -> str | None:
        """Return the combined value of a field as pages are chosen by it."""
        value = super().field(name)
        return self._codings.choose(value) if name == FIELD else value
