"""`conditional`: 304 for who has it already.  RFC 9110 §13.

An ETag is made from the body where the application has none and the body is known to be short; then
If-None-Match and If-Modified-Since are answered.  Streams pass as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b

from wsgistack.cache.voice import ENVIRON_KEY, Voice
from wsgistack.http.conditional import OF_CONTENT, evaluate
from wsgistack.settings import SIZE, Setting, Table
from wsgistack.wsgi import Environ, ExcInfo, Headers, StartResponse, WSGIApplication

__all__ = ["HELP", "MAIN", "NAME", "PLACE", "SETTINGS", "Conditional", "make"]

NAME = "conditional"
PLACE = 70
HELP = "304 for a client that has the current response already; ETags for short ones that lack it"
MAIN = "most_bytes"
SETTINGS = Table(
    "conditional",
    [
        Setting(
            "most_bytes",
            SIZE,
            1024 * 1024,
            "the longest body of known length that is read for its ETag",
        )
    ],
)


class Conditional:
    """A WSGI application that answers conditional GET and HEAD requests for *app*.

    An ETag is made for a 200 to GET without one, without `no-store`, and whose body is short: a list
    or tuple, or told by Content-Length to be at most *most_bytes*.  A 304 carries the fields that RFC
    9110 §15.4.5 asks for, and cookies.  write() passes without an ETag.  Safe for threads and greenlets.
    """

    def __init__(self, app: WSGIApplication, *, most_bytes: int = 1024 * 1024) -> None:
        self.app = app
        self._most_bytes = most_bytes

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request, with 304 where that is what there is to say."""
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return self.app(environ, start_response)
        return _Passage(self._most_bytes, environ, start_response).body(self.app)


class _Passage:
    """One response: its head is held back until the body tells its ETag."""

    def __init__(self, most_bytes: int, environ: Environ, start_response: StartResponse) -> None:
        self._most_bytes = most_bytes
        self._environ = environ
        self._start_response = start_response
        self._held: tuple[str, Headers] | None = None
        self._write: Callable[[bytes], object] | None = None

    def start_response(
        self, status: str, headers: Headers, exc_info: ExcInfo | None = None, /
    ) -> Callable[[bytes], object]:
        """Hold the head back, or pass it on when it has gone out already."""
        if self._write is not None:
            assert exc_info is not None, "start_response was called twice"
            return self._start_response(status, headers, exc_info)
        self._held = (status, list(headers))
        return self._write_through

    def _write_through(self, data: bytes) -> object:
        self._send_head()
        assert self._write is not None
        return self._write(data)

    def body(self, app: WSGIApplication) -> Iterable[bytes]:
        """Return the body to send: the application's own, a list read for its ETag, or none."""
        body = app(self._environ, self.start_response)
        if self._held is None:
            return body if self._write is not None else _Late(self, body)
        try:
            return self.settle(body, body)
        except BaseException:
            _close(body)  # the server never gets it
            raise

    def settle(self, body: Iterable[bytes], rest: Iterable[bytes]) -> Iterable[bytes]:
        """Send the head for *body*, of which *rest* is still to come; return what is to be sent."""
        assert self._held is not None
        status, headers = self._held
        if status[:3] != "200":
            self._send_head()
            return body if rest is body else _Blocks(rest, body)
        fields = {name.lower(): value for name, value in headers}
        asked = "HTTP_IF_NONE_MATCH" in self._environ or "HTTP_IF_MODIFIED_SINCE" in self._environ
        if "etag" not in fields and self._environ["REQUEST_METHOD"] == "GET" and self._is_short(fields, rest):
            blocks = [block for block in rest if block]
            if self._write is not None:  # written through meanwhile
                return _Blocks(blocks, body)
            headers.append(("ETag", '"' + blake2b(b"".join(blocks), digest_size=16).hexdigest() + '"'))
            self._tell_cache()
            rest = blocks
        if asked and self._is_known(headers):
            self._held = ("304 Not Modified", [(n, v) for n, v in headers if n.lower() not in OF_CONTENT])
            self._send_head()
            return _Blocks([], body)
        self._send_head()
        return body if rest is body else _Blocks(rest, body)

    def _tell_cache(self) -> None:
        """Let a page cache around know that asking for the tag again would spare the application nothing."""
        voice = self._environ.get(ENVIRON_KEY)
        if isinstance(voice, Voice):
            voice.has_made_tag = True

    def _is_short(self, fields: dict[str, str], rest: Iterable[bytes]) -> bool:
        if "no-store" in fields.get("cache-control", "").lower() or "content-range" in fields:
            return False
        if isinstance(rest, list | tuple):
            return sum(map(len, rest)) <= self._most_bytes
        length = fields.get("content-length", "")
        return length.isdigit() and int(length) <= self._most_bytes and not _is_file(self._environ, rest)

    def _is_known(self, headers: Headers) -> bool:
        fields = {name.lower(): value for name, value in headers}
        status = evaluate(
            none_match=self._environ.get("HTTP_IF_NONE_MATCH"),
            modified_since=self._environ.get("HTTP_IF_MODIFIED_SINCE"),
            etag=fields.get("etag"),
            last_modified=fields.get("last-modified"),
            date=None,
        )
        return status == 304

    def _send_head(self) -> None:
        if self._held is not None:
            held, self._held = self._held, None
            self._write = self._start_response(*held)


def _is_file(environ: Environ, body: Iterable[bytes]) -> bool:
    wrapper = environ.get("wsgi.file_wrapper")
    return isinstance(wrapper, type) and isinstance(body, wrapper)


class _Blocks:
    """*blocks* in the place of *body*, which is closed all the same."""

    def __init__(self, blocks: Iterable[bytes], body: Iterable[bytes]) -> None:
        self._blocks = iter(blocks)
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        return self._blocks

    def close(self) -> None:
        """Close the application's body."""
        _close(self._body)


class _Late:
    """A body whose application calls start_response when it is first asked for a block.  PEP 3333"""

    def __init__(self, passage: _Passage, body: Iterable[bytes]) -> None:
        self._passage = passage
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        blocks = iter(self._body)
        for block in blocks:
            if self._passage._held is None:
                yield block
                continue
            yield from self._passage.settle(self._body, _chain(block, blocks))
            return
        if self._passage._held is not None:
            yield from self._passage.settle(self._body, [])

    def close(self) -> None:
        """Close the application's body."""
        _close(self._body)


def _close(body: Iterable[bytes]) -> None:
    close = getattr(body, "close", None)
    if close is not None:
        close()


def _chain(first: bytes, others: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from others


make = Conditional
