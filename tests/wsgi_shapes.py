"""WSGI applications of every legal shape, and a server that notes what they do.  PEP 3333"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

__all__ = ["SHAPES", "Broken", "Seen", "Shape", "serve", "shapes"]

SHAPES = (
    *("list", "tuple", "generator", "late", "iterator", "write", "write and list", "restart", "file"),
    # a list that says more than a list; an iterator that has no close(); one that begins anew before its first
    # block, or too late; what the client sent, sent back
    *("own list", "no close", "late restart", "too late", "echo"),
)


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


class OwnList(list[bytes]):
    """A list of one's own, with a close() that counts."""

    def __init__(self, owner: Application, blocks: Iterable[bytes]) -> None:
        super().__init__(blocks)
        self._owner = owner

    def close(self) -> None:
        self._owner.closed += 1


class Bare:
    """An iterator that is nothing else."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks

    def __iter__(self) -> Bare:
        return self

    def __next__(self) -> bytes:
        return next(self._blocks)


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
        if kind in ("restart", "late restart"):
            start_response("200 Wrong", [("X-Wrong", "yes"), ("Content-Type", "text/wrong")])
            if kind == "late restart":
                return Body(self, self._blocks(lambda: begin_anew(start_response, shape.status, headers)))
            begin_anew(start_response, shape.status, headers)
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
        if kind == "own list":
            self._break_at(0)
            return OwnList(self, shape.blocks)
        if kind == "too late":
            return Body(self, self._blocks(last=lambda: begin_anew(start_response, "500 Oops", headers)))
        if kind == "echo":
            return [*shape.blocks, read_input(environ)]
        if kind == "no close":
            return Bare(self._blocks())
        if kind == "file":
            wrapper: Any = environ["wsgi.file_wrapper"]
            return wrapper(io.BytesIO(b"".join(shape.blocks)))  # type: ignore[no-any-return]
        if kind == "generator":
            return self._blocks()
        return Body(self, self._blocks())

    def _blocks(
        self, first: Callable[[], object] = lambda: None, last: Callable[[], object] = lambda: None
    ) -> Iterator[bytes]:
        first()
        for number, block in enumerate(self.shape.blocks):
            self._break_at(number)
            yield block
        last()

    def _break_at(self, number: int) -> None:
        if self.shape.breaks_at == number:
            raise Broken(f"before block {number}")

    @property
    def counts_closing(self) -> bool:
        """Tell whether its body has a close() that counts."""
        return self.shape.kind in ("late", "iterator", "restart", "late restart", "too late", "own list")


def begin_anew(start_response: Any, status: str, headers: list[tuple[str, str]]) -> None:
    """Call start_response again, as who meets an error does."""
    try:
        raise Broken("found out late")
    except Broken:
        start_response(status, headers, sys.exc_info())


def read_input(environ: dict[str, Any]) -> bytes:
    """Return what the client sent: as much as it told, or all where the server knows its end."""
    size = -1 if environ.get("wsgi.input_terminated") else int(environ.get("CONTENT_LENGTH") or 0)
    read: bytes = environ["wsgi.input"].read(size)
    return read


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
            [
                *("200 OK", "200 OK", "200 OK", "404 Not Found", "500 Oops"),
                *("204 No Content", "206 Partial Content", "304 Not Modified"),
            ]
        )
    )
    empty = status[:3] in ("204", "304")
    texts = st.just(b"") if empty else st.binary(max_size=2000)
    blocks = tuple(draw(st.lists(texts, max_size=6)))
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
    if status[:3] == "206":
        headers.append(("Content-Range", "bytes 0-4/9"))
    kind = draw(st.sampled_from(SHAPES))
    return Shape(
        kind=kind,
        blocks=blocks,
        status=status,
        headers=tuple(headers),
        tells_length=not empty and kind != "echo" and draw(st.booleans()),
        breaks_at=draw(st.none() | st.integers(0, max(len(blocks) - 1, 0))) if blocks else None,
    )
