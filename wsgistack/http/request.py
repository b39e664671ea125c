"""A request as engines see it, whoever carries it: an environ and a parsed head both fit."""

from __future__ import annotations

from typing import Protocol

__all__ = ["RequestView"]


class RequestView(Protocol):
    """A window on a request, not a copy of it; text is latin-1 as at the WSGI edge."""

    @property
    def method(self) -> str:
        """The method; case-sensitive (RFC 9110 §9.1)."""
        ...

    @property
    def scheme(self) -> str:
        """`http` or `https`, as far as the edge knows."""
        ...

    @property
    def host(self) -> str:
        """The authority that was asked for."""
        ...

    @property
    def path(self) -> str:
        """The decoded path."""
        ...

    @property
    def query(self) -> str:
        """The query without its question mark, as it came."""
        ...

    @property
    def peer(self) -> str:
        """Who holds the connection: an address, or "" for a Unix socket."""
        ...

    def field(self, name: str) -> str | None:
        """Return the combined value of a field, None if the request has none.  RFC 9110 §5.3"""
        ...

    def variable(self, name: str) -> str | None:
        """Return what the server or a middleware found out, such as REMOTE_USER; never a client's word."""
        ...
