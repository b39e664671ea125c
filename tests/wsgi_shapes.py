"""WSGI applications of every legal shape, and a server that notes what they do.  PEP 3333"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

__all__ = ["SHAPES", "Broken", "Seen", "Shape", "serve", "shapes"]

SHAPES = ("list", "tuple", "generator", "late", "iterator", "write", "write and list", "restart", "file")


class Broken(Exception):
    """What an application raises in the middle of its work."""


@dataclass(frozen=True)
class Shape:
    """One application: how it answers, with what, and where it breaks (before that block; None: never)."""

    kind: str = "list"
    blocks: tuple[bytes, ...] = (b"hello",)
    status: str = "200 OK"
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "text/plain"),)
    tells_length: bool = False
    breaks_at: int | None = None


@dataclass
class Seen:
    """What a server saw of one response."""

    status: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    closed: int = 0
    error: BaseException | None = None


class Application:
    """The WSGI application of a shape; counts how often its body was closed."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.closed = 0

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        shape, kind = self.shape, self.shape.kind
        headers = list(shape.headers)
        if shape.tells_length:
            headers.append(("Content-Length", str(sum(map(len, shape.blocks)))))
        if kind == "late":
            return Body(self, self._blocks(lambda: start_response(shape.status, headers)))
        if kind == "restart":
            start_response("200 Wrong", [("X-Wrong", "yes")])
            try:
                raise Broken("found out late")
            except Broken:
                start_response(shape.status, headers, sys.exc_info())
            return Body(self, self._blocks())
        write = start_response(shape.status, headers)
        if kind in ("write", "write and list"):
            half = len(shape.blocks) if kind == "write" else len(shape.blocks) // 2
            for number, block in enumerate(shape.blocks[:half]):
                self._break_at(number)
                write(block)
            return list(shape.blocks[half:])
        if kind in ("list", "tuple"):
            self._break_at(0)
            return list(shape.blocks) if kind == "list" else shape.blocks
        if kind == "file":
            wrapper: Any = environ["wsgi.file_wrapper"]
            return wrapper(io.BytesIO(b"".join(shape.blocks)))  # type: ignore[no-any-return]
        if kind == "generator":
            return self._blocks()
        return Body(self, self._blocks())

    def _blocks(self, first: Callable[[], object] = lambda: None) -> Iterator[bytes]:
        first()
        for number, block in enumerate(self.shape.blocks):
            self._break_at(number)
            yield block

    def _break_at(self, number: int) -> None:
        if self.shape.breaks_at == number:
            raise Broken(f"before block {number}")

    @property
    def counts_closing(self) -> bool:
        """Tell whether its body has a close() that counts."""
        return self.shape.kind in ("late", "iterator", "restart")


class Body:
    """An iterable of one's own with a close() that counts."""

    def __init__(self, owner: Application, blocks: Iterator[bytes]) -> None:
        self._owner = owner
        self._blocks = blocks

    def __iter__(self) -> Iterator[bytes]:
        return self._blocks

    def close(self) -> None:
        self._owner.closed += 1


class FileWrapper:
    """A server's file wrapper, known by its type."""

    def __init__(self, file: Any, size: int = 8192) -> None:
        self.file = file
        self._size = size

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self.file.read(self._size), b"")

    def close(self) -> None:
        self.file.close()


def serve(app: Any, environ: dict[str, Any] | None = None, /, *, leaves_after: int | None = None) -> Seen:
    """Return what a server saw of *app*.  *leaves_after*: the client leaves after so many blocks."""
    seen = Seen()
    sent = False

    def write(data: bytes) -> None:
        nonlocal sent
        assert isinstance(data, bytes) and seen.status, "a block came before start_response"
        if data:
            sent = True
            seen.body += data

    def start_response(
        status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], None]:
        assert exc_info is not None or not seen.status, "start_response was called twice"
        if exc_info is not None and sent:
            raise exc_info[1].with_traceback(exc_info[2])
        seen.status, seen.headers = status, headers
        return write

    variables: dict[str, Any] = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/",
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "192.0.2.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": FileWrapper,
        **(environ or {}),
    }
    try:
        body = app(variables, start_response)
    except Broken as error:
        seen.error = error
        return seen
    try:
        for number, block in enumerate(body):
            if number == leaves_after:
                break
            write(block)
        assert seen.status, "start_response was never called"
    except Broken as error:
        seen.error = error
    finally:
        if hasattr(body, "close"):
            body.close()
            seen.closed += 1
    return seen


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    """Return any legal application."""
    status = draw(
        st.sampled_from(
            ["200 OK", "200 OK", "404 Not Found", "500 Oops", "204 No Content", "304 Not Modified"]
        )
    )
    empty = status[:3] in ("204", "304")
    blocks = () if empty else tuple(draw(st.lists(st.binary(max_size=2000), max_size=6)))
    headers = (
        [] if empty else [("Content-Type", draw(st.sampled_from(["text/html; charset=utf-8", "image/png"])))]
    )
    headers += draw(
        st.lists(
            st.sampled_from(
                [
                    ("Cache-Control", "max-age=60"),
                    ("Cache-Control", "no-store"),
                    ("Cache-Control", "no-transform"),
                    ("ETag", '"a"'),
                    ("Vary", "Accept"),
                    ("Set-Cookie", "a=b"),
                    ("Set-Cookie", "c=d"),
                    ("X-Empty", ""),
                ]
            ),
            max_size=3,
        )
    )
    return Shape(
        kind=draw(st.sampled_from(SHAPES)),
        blocks=blocks,
        status=status,
        headers=tuple(headers),
        tells_length=not empty and draw(st.booleans()),
        breaks_at=draw(st.none() | st.integers(0, max(len(blocks) - 1, 0))) if blocks else None,
    )
