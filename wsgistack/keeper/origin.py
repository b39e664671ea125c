"""The application behind the keeper's caches: each request is one to the balancer's inner listener.

Bodies pass both ways block by block.  A request's body is sent by a greenlet of its own, since a node
may answer before it has read all of it.  Connections are kept; only a GET or HEAD without a body goes
out on one that was used before, and once more on a new one if that was closed meanwhile.
"""

from __future__ import annotations

import socket as plain_socket
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import gevent
from gevent import socket

from wsgistack.cache.head import ResponseHead
from wsgistack.cache.purging import TAGS, read_tags
from wsgistack.cache.voice import ENVIRON_KEY, LONGEST_TAG, MOST_TAGS, Voice
from wsgistack.keeper.replies import Head, Malformed, Reply, Stream, read_reply
from wsgistack.keeper.requests import LONGEST_NAME, MOST_NAMES
from wsgistack.keeper.wire import Wire
from wsgistack.wsgi import Environ, StartResponse

__all__ = ["INTERIM", "WAY", "Origin", "OriginFailed", "Way"]

WAY, INTERIM = "wsgistack.way", "wsgistack.interim"  # in an environ
CONNECT_TIMEOUT_S = 5.0
MOST_IDLE = 128  # connections of a service
LARGEST_OWN = 65_536
DOWN = frozenset((502, 503, 504))  # the balancer's own words for a node that did not answer
SAFE = frozenset(("GET", "HEAD"))
NAMING = frozenset(TAGS)
# Of the connection to us, or written anew below.
LEFT_OUT = frozenset(
    (
        "HTTP_HOST",
        "HTTP_CONNECTION",
        "HTTP_KEEP_ALIVE",
        "HTTP_PROXY_CONNECTION",
        "HTTP_TE",
        "HTTP_TRAILER",
        "HTTP_TRANSFER_ENCODING",
        "HTTP_UPGRADE",
        "HTTP_EXPECT",
        "HTTP_CONTENT_LENGTH",
        "HTTP_CONTENT_TYPE",
    )
)


class OriginFailed(Exception):
    """No node answered; *head* and *body* are what the balancer says of that, if it could be asked."""

    def __init__(self, why: str, head: Head | None = None, body: bytes = b"") -> None:
        super().__init__(why)
        self.head = head
        self.body = body

    def answer(self, start_response: StartResponse) -> list[bytes]:
        """Tell a client, instead of what it asked for."""
        if self.head is None:
            text = b"502 Bad Gateway\ncache-origin\n"
            fields = [("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store")]
            start_response("502 Bad Gateway", [*fields, ("Content-Length", str(len(text)))])
            return [text]
        start_response(f"{self.head.status} {self.head.reason}", self.head.fields)
        return [self.body] if self.body else []


@dataclass(slots=True)
class Way:
    """How a request came, and what the cache does not need to see of that.

    *inner*: the path of the inner listener.  *told*: fields to put back.  *is_spent*: its body was not
    read to its end, so that its connection is good for nothing more.
    """

    inner: str
    told: list[tuple[str, str]] = field(default_factory=list)
    is_spent: bool = False


class Origin:
    """A WSGI application; `Way` in the environ tells where it asks.  For greenlets of one thread."""

    def __init__(self) -> None:
        self._idle: dict[str, list[_Link]] = {}

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Ask, and pass on what comes; OriginFailed where no node answered."""
        way: Way = environ[WAY]
        exchange = _Exchange(self, environ, way)
        try:
            reply = exchange.ask()
            if reply.head.own and reply.head.status in DOWN:
                raise OriginFailed(reply.head.own, reply.head, b"".join(reply.blocks)[:LARGEST_OWN])
            body: list[bytes] | _Body | None = exchange.take_whole(reply)
            if body is None:
                body = _Body(exchange, reply)
                if reply.head.length is not None and reply.head.length > 0:
                    body.take_first()  # an origin that fails before its first byte has not answered
        except (OSError, Malformed) as error:
            exchange.end(clean=False)
            raise OriginFailed(repr(error)) from error
        except BaseException:
            exchange.end(clean=False)
            raise
        _tell_cache(environ, reply.head)
        start_response(f"{reply.head.status} {reply.head.reason}", reply.head.fields)
        return body

    def take(self, path: str, *, used: bool) -> _Link:
        """Return a connection, one that was used before only if *used* may be."""
        idle = self._idle.get(path)
        if used and idle:
            return idle.pop()
        return _Link(path)

    def give_back(self, link: _Link) -> None:
        """Keep a connection for the next request."""
        idle = self._idle.setdefault(link.path, [])
        if len(idle) < MOST_IDLE:
            idle.append(link)
        else:
            link.close()

    def forget(self, path: str) -> None:
        """Close what is kept of a service that is gone."""
        for link in self._idle.pop(path, []):
            link.close()

    def close(self) -> None:
        """Close all that is kept."""
        for path in list(self._idle):
            self.forget(path)


def _tell_cache(environ: Environ, head: Head) -> None:
    """Let the cache know by what the page can be purged: a node has no other way to say so.

    What is the balancer's own, or of another pool than the visitor's bucket has, is for this visitor alone.
    """
    voice = environ.get(ENVIRON_KEY)
    if isinstance(voice, Voice):
        if head.own:
            voice.private(head.own)
        if NAMING.isdisjoint([name.lower() for name, _ in head.fields]):
            return
        tags = read_tags(ResponseHead(head.status, head.reason, head.fields).field)
        if tags:
            voice.tag(*[tag for tag in dict.fromkeys(tags) if 0 < len(tag) <= LONGEST_TAG][:MOST_TAGS])


class _Link:
    """One connection to an inner listener."""

    __slots__ = ("path", "stream", "wire")

    def __init__(self, path: str) -> None:
        self.path = path
        sock = socket.socket(plain_socket.AF_UNIX, plain_socket.SOCK_STREAM)
        try:
            sock.settimeout(CONNECT_TIMEOUT_S)
            sock.connect(path)
        except BaseException:
            sock.close()
            raise
        self.wire = Wire(plain_socket.socket(fileno=sock.detach()))
        self.stream = Stream(self.wire.receive)

    def close(self) -> None:
        self.wire.close()


class _Exchange:
    """One request and its response on one connection."""

    __slots__ = ("_environ", "_link", "_method", "_origin", "_sender", "_way")

    def __init__(self, origin: Origin, environ: Environ, way: Way) -> None:
        self._origin = origin
        self._environ = environ
        self._way = way
        self._method = str(environ["REQUEST_METHOD"])
        self._link: _Link | None = None
        self._sender: Any = None

    def ask(self) -> Reply:
        """Send the request and return the response, whose body is still to come."""
        framing = _framing_of(self._environ)
        head = _write_head(self._environ, self._way, framing)
        may_repeat = self._method in SAFE and not framing
        self._link = link = self._origin.take(self._way.inner, used=may_repeat)
        link.stream.has_begun = False
        try:
            return self._try(link, head, framing)
        except (OSError, Malformed):
            if not may_repeat or link.stream.has_begun:
                raise
        link.close()  # it was closed while it lay there, or its worker died: the next finds a living one
        self._link = link = _Link(self._way.inner)
        return self._try(link, head, framing)

    def _try(self, link: _Link, head: bytes, framing: str) -> Reply:
        link.wire.send(head)
        if framing:
            self._sender = gevent.spawn(_send_body, link, self._environ["wsgi.input"], framing)
        return read_reply(link.stream, self._method, self._environ.get(INTERIM))

    def take_whole(self, reply: Reply) -> list[bytes] | None:
        """Return the body if all of it came along with its head, as most do; the connection is free then."""
        length, link = reply.head.length, self._link
        if length is None or length < 0 or link is None or self._sender is not None:
            return None
        block = link.stream.take(length)
        if block is None:
            return None
        self.end(clean=True, keeps=reply.head.keeps)
        return [block] if block else []

    def end(self, *, clean: bool, keeps: bool = False) -> None:
        """Let the connection go; *clean*: the response came to its end."""
        link, self._link = self._link, None
        if link is None:
            return
        sender = self._sender
        if sender is not None and sender.value is not True:
            clean = False
            sender.kill()
            self._way.is_spent = True
        if clean and keeps and link.stream.is_clean:
            self._origin.give_back(link)
        else:
            link.close()


class _Body:
    """The blocks of a response; the connection is given back when they are through, or closed."""

    __slots__ = ("_blocks", "_exchange", "_first", "_keeps")

    def __init__(self, exchange: _Exchange, reply: Reply) -> None:
        self._exchange = exchange
        self._blocks = reply.blocks
        self._first: bytes | None = None
        self._keeps = reply.head.keeps
        if reply.head.length == 0:
            self._exchange.end(clean=True, keeps=self._keeps)

    def take_first(self) -> None:
        """Wait for the first block."""
        self._first = next(self._blocks, None)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        first, self._first = self._first, None
        if first is not None:
            return first
        try:
            return next(self._blocks)
        except StopIteration:
            self._exchange.end(clean=True, keeps=self._keeps)
            raise
        except BaseException:
            self._exchange.end(clean=False)
            raise

    def close(self) -> None:
        """Let the node know that nobody wants the rest, if there is one."""
        self._exchange.end(clean=False)


def _framing_of(environ: Environ) -> str:
    """Return how the request's body is framed: its length in digits, `chunked`, or "" for no body."""
    if "chunked" in str(environ.get("HTTP_TRANSFER_ENCODING", "")).lower():
        return "chunked"
    length = str(environ.get("CONTENT_LENGTH") or "")
    return length if length.isdecimal() and int(length) else ""


def _write_head(environ: Environ, way: Way, framing: str) -> bytes:
    lines = [
        f"{environ['REQUEST_METHOD']} {environ['RAW_URI']} HTTP/1.1",
        f"Host: {environ.get('HTTP_HOST', '')}",
    ]
    for name, value in environ.items():
        spelled = _SPELLED.get(name)
        if spelled is None:
            spelled = _spell(name)
        if spelled:
            lines.append(f"{spelled}: {value}")
    lines += [f"{name}: {value}" for name, value in way.told]
    content_type = environ.get("CONTENT_TYPE")
    if content_type:
        lines.append(f"Content-Type: {content_type}")
    if framing == "chunked":
        lines.append("Transfer-Encoding: chunked")
    elif framing or environ["REQUEST_METHOD"] not in ("GET", "HEAD", "OPTIONS", "DELETE"):
        lines.append(f"Content-Length: {framing or 0}")
    text, ends = "\r\n".join(lines), len(lines) - 1
    if text.count("\r") != ends or text.count("\n") != ends:
        raise Malformed("request-field")  # no part of what the plane gave us has such a thing
    return text.encode("latin-1") + b"\r\n\r\n"


_SPELLED: dict[str, str] = {}


def _spell(variable: str) -> str:
    """Return the name of the field that a variable of an environ has, "" for what is not sent on."""
    is_sent = variable[:5] == "HTTP_" and variable not in LEFT_OUT
    spelled = variable[5:].replace("_", "-").title() if is_sent else ""
    if len(_SPELLED) < MOST_NAMES and len(variable) <= LONGEST_NAME:  # they come from clients
        _SPELLED[variable] = spelled
    return spelled


def _send_body(link: _Link, source: Any, framing: str) -> bool:
    """Pass a request's body on, and tell whether all of it was.

    A node that wants no more of it closes: that is not for us to tell.  A client that leaves takes
    its request with it.
    """
    left = -1 if framing == "chunked" else int(framing)
    while left:
        try:
            block = source.read()
            if not block and left > 0:
                raise EOFError
        except Exception:  # noqa: BLE001 - whatever it is, the rest will not come
            with suppress(OSError):
                link.wire.shut_down()
            return False
        try:
            if left > 0:
                link.wire.send(block)
                left -= len(block)
            else:
                link.wire.send(b"%x\r\n%b\r\n" % (len(block), block) if block else b"0\r\n\r\n")
                left = -1 if block else 0
        except OSError:
            return False
    return True
