"""The WSGI side of the house: what a request looks like, how a response is watched.  PEP 3333.

The only module that knows environ and start_response by name; engines see http.request.RequestView.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Protocol
from urllib.parse import unquote_to_bytes

from wsgistack.errors import ArgumentError
from wsgistack.memos import remember

__all__ = [
    "EARLY",
    "Environ",
    "EnvironRequest",
    "ExcInfo",
    "Headers",
    "StartResponse",
    "WSGIApplication",
    "Watched",
    "answer_early",
    "environ_of",
    "pass_head",
    "text_of",
]

# Servers (SERVER_SOFTWARE) that take the head when the application returns, and say that they are one
# process where they run several: granian 2.8.
EARLY = frozenset({"Granian"})

Environ = dict[str, Any]
Headers = list[tuple[str, str]]
ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]


class StartResponse(Protocol):
    """What a server gives to an application."""

    def __call__(
        self, status: str, headers: Headers, exc_info: ExcInfo | None = None, /
    ) -> Callable[[bytes], object]: ...


WSGIApplication = Callable[[Environ, StartResponse], Iterable[bytes]]


class EnvironRequest:
    """A window on an environ: nothing is copied, everything is read when it is asked for."""

    __slots__ = ("environ",)

    def __init__(self, environ: Environ) -> None:
        self.environ = environ

    @property
    def method(self) -> str:
        """The method, as the server got it (RFC 9110 §9.1: case-sensitive)."""
        return str(self.environ.get("REQUEST_METHOD", "GET"))

    @property
    def scheme(self) -> str:
        """`http` or `https`, as the server says."""
        return str(self.environ.get("wsgi.url_scheme", "http"))

    @property
    def host(self) -> str:
        """The Host field, else the server's name and port."""
        environ = self.environ
        return str(
            environ.get("HTTP_HOST") or f"{environ.get('SERVER_NAME', '')}:{environ.get('SERVER_PORT', '')}"
        )

    @property
    def path(self) -> str:
        """The decoded path, the mount point included; latin-1 as WSGI has it."""
        return str(self.environ.get("SCRIPT_NAME", "") + self.environ.get("PATH_INFO", "")) or "/"

    @property
    def query(self) -> str:
        """The query without its question mark, as it came."""
        return str(self.environ.get("QUERY_STRING", ""))

    @property
    def peer(self) -> str:
        """Who holds the connection: an address, or "" for a Unix socket."""
        return str(self.environ.get("REMOTE_ADDR") or "")

    def field(self, name: str) -> str | None:
        """Return the combined value of a field, None if the request has none.  RFC 9110 §5.3"""
        value = self.environ.get(_variable_of(name))
        return None if value is None else str(value)

    def variable(self, name: str) -> str | None:
        """Return what the server or a middleware put into the environ; None for a client's fields."""
        value = None if name.startswith("HTTP_") else self.environ.get(name)
        return None if value is None else str(value)


@remember(1024)
def _variable_of(field: str) -> str:
    name = field.upper().replace("-", "_")
    return name if name in ("CONTENT_TYPE", "CONTENT_LENGTH") else "HTTP_" + name


def text_of(environ: Environ, name: str) -> str | None:
    """Return a variable; None for what is no text: an application may have left anything there."""
    value = environ.get(name)
    return value if isinstance(value, str) else None


def environ_of(url: str, mount: str = "") -> Environ:
    """Return the least that says what an absolute URL asks for, *mount*: of an application mounted there."""
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    path, _, query = (slash + path or "/").partition("?")
    seen = unquote_to_bytes(path.encode("latin-1", "replace")).decode("latin-1")
    if mount and seen != mount and not seen.startswith(f"{mount}/"):
        raise ArgumentError(f"{url} is not below the mount point {mount!r}")
    environ = {
        "REQUEST_METHOD": "GET",
        "wsgi.url_scheme": scheme.lower(),
        "HTTP_HOST": host,
        "SCRIPT_NAME": mount,
        "PATH_INFO": seen[len(mount) :],
        "QUERY_STRING": query,
    }
    return environ if mount else environ | {"RAW_URI": path}


def pass_head(
    start_response: StartResponse, status: str, headers: Headers, exc_info: ExcInfo | None
) -> Callable[[bytes], object]:
    """Call *start_response*, with *exc_info* only where there is one: some servers take no None."""
    if exc_info is None:
        return start_response(status, headers)
    return start_response(status, headers, exc_info)


class Watched:
    """A response body that tells when it is over: *at_end(bytes sent)* is called exactly once.

    It is one step for each step of the body (PEP 3333: no blocking of a stream), closes it exactly
    once, and is over when the server closes it, also after an error or when the client has left.
    """

    __slots__ = ("_at_end", "_body", "_iterator", "_sent")

    def __init__(self, body: Iterable[bytes], at_end: Callable[[int], None]) -> None:
        self._body = body
        self._iterator: Iterator[bytes] | None = None
        self._at_end: Callable[[int], None] | None = at_end
        self._sent = 0

    def __iter__(self) -> Watched:
        return self

    def __next__(self) -> bytes:
        if self._iterator is None:
            self._iterator = iter(self._body)
        block = next(self._iterator)
        self._sent += len(block)
        return block

    def close(self) -> None:
        """Close the body and tell; a second call does nothing."""
        at_end, self._at_end = self._at_end, None
        if at_end is None:
            return
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            at_end(self._sent)


def answer_early(app: WSGIApplication, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Answer as *app* does, but tell the head before this returns.

    For servers that take the head when the application returns, though PEP 3333 lets it come with
    the first block.  What write() was given then stands at the front of the body.
    """
    answer = _Early(start_response)
    body = app(environ, answer.start_response)
    try:
        answer.take_head(body)
    except BaseException:
        answer.close()
        raise
    return body if answer.is_untouched and type(body) is list else answer


class _Early:
    """A response whose first blocks were taken from its body already."""

    def __init__(self, start_response: StartResponse) -> None:
        self._start_response = start_response
        self._head: tuple[str, Headers] | None = None
        self._is_told = False
        self._first: list[bytes] = []
        self._iterator: Iterator[bytes] | None = None
        self.body: Iterable[bytes] | None = None

    @property
    def is_untouched(self) -> bool:
        """Tell whether the body is as the application gave it."""
        return self._iterator is None and not self._first

    def start_response(
        self, status: str, headers: Headers, exc_info: ExcInfo | None = None, /
    ) -> Callable[[bytes], object]:
        """Keep the head: until it is told the application may think better of it."""
        if self._is_told and exc_info is not None and exc_info[1] is not None:
            raise exc_info[1].with_traceback(exc_info[2])
        if self._head is not None and exc_info is None:
            raise AssertionError("start_response was called twice")
        self._head = status, headers
        return self._first.append

    def take_head(self, body: Iterable[bytes]) -> None:
        """Let the application go on until its head is final, and tell it.

        That is with the first block that is not empty (PEP 3333): until then it may begin anew.
        """
        self.body = body
        if self._head is None or not (self._first or isinstance(body, list | tuple)):
            self._iterator = iter(body)
            for block in self._iterator:
                self._first.append(block)
                if self._head is not None and block:
                    break
        if self._head is None:
            raise AssertionError("the application never called start_response")
        self._is_told = True
        self._start_response(*self._head)

    def __iter__(self) -> _Early:
        return self

    def __next__(self) -> bytes:
        if self._first:
            return self._first.pop(0)
        if self._iterator is None:
            assert self.body is not None
            self._iterator = iter(self.body)
        return next(self._iterator)

    def close(self) -> None:
        """Close the application's body."""
        close = getattr(self.body, "close", None)
        if close is not None:
            close()
