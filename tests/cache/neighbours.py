"""Visitors who ask for anything in any way, and leave marks of their own wherever a request has room for one."""

from __future__ import annotations

import io
import itertools
import zlib
from collections.abc import Callable
from random import Random
from typing import Any
from urllib.parse import unquote_to_bytes

import gevent

from wsgistack.cache.coalesce import Left
from wsgistack.cache.signs import IDENTITY_FIELDS, WITHHELD_FIELDS
from wsgistack.wsgi import Environ, WSGIApplication

__all__ = ["Neighbour"]

METHODS = ("GET",) * 40 + ("HEAD", "HEAD", "POST", "PUT", "BREW", "get")
FORMS = ("/{}",) * 60 + ("/{}/", "//{}", "/./{}", "/{};x", "/x/../{}", "/%2f{}", "/{}%00")
QUERIES = (
    *("",) * 6,
    "a=1",
    "utm_source={}",
    "a=1&utm_source={}",
    "a=1&utm_x={};b=2",
    "%75tm_x={}&a=1",
    "gclid={}&&",
)
HOSTS = ("example.com",) * 60 + (
    "EXAMPLE.com:80",
    "example.com.",
    "other.example",
    "example.com, {}",
    "{}@example.com",
)
JUNK = (
    *(
        "_ga={}",
        "_ga={}; _gid={}",
        "_ga=1;name={}",
        "_ga=1, name={}",
        '_ga="1; name={}"',
        "_ga=1 name={}",
        "{}",
    ),
    *(
        "theme={}",
        "lang=de",
        "lang={}",
        "lang=de; lang={}",
        "csrftoken={}",
        "wsgistack_bucket=beta",
        "wsgistack_bucket={}",
    ),
)
SHOWN = {
    "HTTP_ACCEPT_LANGUAGE": ("de", "en", "de, en;q=0.5", ""),
    "HTTP_ACCEPT_ENCODING": ("gzip", "br, gzip", "identity", "*;q=0"),
    "HTTP_CACHE_CONTROL": ("no-cache", "max-age=0", "no-store", "only-if-cached"),
    "HTTP_RANGE": ("bytes=0-3", "bytes=-2", "bytes=0-0,2-3", "bytes=9-1"),
    "HTTP_X_FORWARDED_PROTO": ("https", "http", "{}"),
    "HTTP_X_REQUESTED_WITH": ("XMLHttpRequest", "{}"),
    "HTTP_IF_NONE_MATCH": ('"{}"', "*", 'W/"{}"'),
    "CONTENT_LENGTH": ("0", "", "4"),
    "CONTENT_TYPE": ("{}",),
    "HTTP_TRANSFER_ENCODING": ("chunked",),
    "HTTP_UPGRADE": ("{}",),
    "REMOTE_USER": ("{}",),
    "SSL_CLIENT_VERIFY": ("NONE", "{}"),
}
MARKED = [
    f"HTTP_{name.upper().replace('-', '_').rstrip('*')}" for name in (*WITHHELD_FIELDS, *IDENTITY_FIELDS)
]


class Neighbour:
    """One visitor of *app*, with cookies of his own; what nobody else may see of him bears his *name*.

    *choose* tells what he asks for.  Half of his requests are as plain as anybody's: only those can meet.
    """

    def __init__(self, app: WSGIApplication, name: str, rng: Random, *, choose: Callable[[], str]) -> None:
        self._app = app
        self.name = name
        self._rng = rng
        self._choose = choose
        self._cookies: dict[str, str] = {}
        self._number = itertools.count()
        self._tells_raw = rng.random() < 0.5

    def visit(self) -> tuple[str, str]:
        """Ask for something, read it or a part of it; return Cache-Status, and all that came as text."""
        heads: list[tuple[str, list[tuple[str, str]]]] = []

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None, /) -> Any:
            heads.append((status, headers))
            return lambda block: None

        read = b""
        body = self._app(self._environ(), start)
        try:
            for block in body:
                read += block
                gevent.sleep(0)
                if self._rng.random() < 0.03:
                    break
        except Left:  # what he followed is another's by now; what came till then counts
            pass
        finally:
            getattr(body, "close", lambda: None)()
        if not heads:  # left before anything was said
            return "", ""
        fields = heads[-1][1]
        self._learn(fields)
        if ("Content-Encoding", "gzip") in fields and ("Content-Range" not in dict(fields)):
            read = zlib.decompressobj(31).decompress(read)
        return dict(fields).get("Cache-Status", ""), f"{fields} {read.decode('latin-1')}"

    def _learn(self, fields: list[tuple[str, str]]) -> None:
        for name, value in fields:
            if name.lower() == "set-cookie" and self._rng.random() < 0.5:
                cookie, _, text = value.strip().partition(";")[0].partition("=")
                self._cookies[cookie] = text
        if self._rng.random() < 0.3:
            self._cookies.clear()

    def _fill(self, text: str) -> str:
        return text.replace("{}", f"of-{self.name}-{next(self._number)}-end")

    def _environ(self) -> Environ:
        rng, path, is_plain = self._rng, self._choose(), self._rng.random() < 0.5
        form = "/{}" if is_plain else rng.choice(FORMS)
        query = "" if is_plain else self._fill(rng.choice(QUERIES))
        if path == "login":
            query = self._fill("name={}")
        path = form.format(path)
        environ: Environ = {
            "REQUEST_METHOD": "GET",
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
            "QUERY_STRING": query,
            "SERVER_NAME": "example.com",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "192.0.2.1",
            "HTTP_HOST": "example.com",
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(b"a=1&"),
            "wsgi.errors": io.StringIO(),
            "wsgi.version": (1, 0),
        }
        if self._tells_raw:
            environ["RAW_URI"] = f"{path}?{query}" if query else path
        if not is_plain:
            self._mark(environ)
        return environ

    def _mark(self, environ: Environ) -> None:
        """Tell who he is, in ways that a site listens to and in others."""
        rng = self._rng
        environ["REQUEST_METHOD"] = rng.choice(METHODS)
        environ["HTTP_HOST"] = self._fill(rng.choice(HOSTS))
        cookies = [f"{name}={value}" for name, value in self._cookies.items()]
        cookies += [self._fill(rng.choice(JUNK)) for _ in range(rng.choice((0, 0, 0, 1, 2)))]
        if cookies:
            environ["HTTP_COOKIE"] = "; ".join(cookies)
        if rng.random() < 0.5:
            environ[rng.choice(MARKED)] = self._fill("{}")
        if rng.random() < 0.25:
            name = rng.choice([*SHOWN])
            environ[name] = self._fill(rng.choice(SHOWN[name]))
