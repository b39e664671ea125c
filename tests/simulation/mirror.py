"""A site that shows all it sees, on pages of every kind, and how it is asked.

Every word by which a request tells whose it is, or tries to pass for another one, carries the request's own mark.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

__all__ = ["EPOCH", "KINDS", "MARK", "Answer", "Environ", "Site", "fetch", "query_of"]

EPOCH = 1_795_000_000
MARK = re.compile(r"m(\d+)z")
# What the site may answer by: a Vary, or the key, has to tell such pages apart.
SEEN = ("HTTP_ACCEPT_LANGUAGE", "HTTP_X_REQUESTED_WITH", "HTTP_X_FORWARDED_PROTO", "wsgi.url_scheme")
PARTS = {"bytes=0-9": 0, "bytes=5-": 5}
Environ = dict[str, Any]

# Of each kind of page its fields.  "mirror" shows everything that it sees.
KINDS: dict[str, list[tuple[str, str]]] = {
    "pub": [("Cache-Control", "max-age=60")],
    "shared": [("Cache-Control", "public, s-maxage=60, must-revalidate")],
    "lang": [("Cache-Control", "max-age=60"), ("Vary", "Accept-Language")],
    "vary-cookie": [("Cache-Control", "max-age=60"), ("Vary", "Cookie")],
    "vary-both": [("Cache-Control", "max-age=60"), ("Vary", "Cookie, Accept-Language")],
    "vary-star": [("Cache-Control", "max-age=60"), ("Vary", "*")],
    "private": [("Cache-Control", "private, max-age=60")],
    "no-store": [("Cache-Control", "no-store")],
    "no-cache": [("Cache-Control", "no-cache, max-age=60")],
    "set-cookie": [("Cache-Control", "max-age=60"), ("Set-Cookie", "sessionid=MARK")],
    "private-field": [("Cache-Control", 'max-age=60, private="X-Whose"'), ("X-Whose", "MARK")],
    "told-private": [("Cache-Control", "max-age=60")],
    "late-private": [("Cache-Control", "max-age=60")],
    "told-ttl": [],
    "tagged": [("Cache-Control", "max-age=60"), ("ETag", '"TAG"'), ("Vary", "Accept-Language")],
    "ranged": [("Cache-Control", "max-age=60"), ("ETag", '"TAG"')],
    "dated": [("Cache-Control", "max-age=60"), ("Last-Modified", "DATE")],
    "search": [("Cache-Control", "max-age=60"), ("No-Vary-Search", 'key-order, params=("x")')],
    "large": [("Cache-Control", "max-age=60")],
    "short": [("Cache-Control", "max-age=3, stale-while-revalidate=4")],
    "missing": [("Cache-Control", "max-age=5")],
    "moved": [("Cache-Control", "max-age=60"), ("Location", "WHERE")],
    "broken": [("Cache-Control", "max-age=60")],
    "hops": [("Cache-Control", "max-age=60"), ("Cache-Tag", "a, b")],
}
STATUSES = {"missing": "404 Not Found", "moved": "301 Moved Permanently", "broken": "500 Oops"}


class Site:
    """A WSGI application; *versions* of what it shows grow by each request that may change something.

    *meanwhile* happens once, when a page's version was read and nothing of it is said yet.
    """

    def __init__(self) -> None:
        self.versions: dict[str, int] = {}
        self.opened = self.closed = 0
        self.meanwhile: Callable[[], object] | None = None

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        kind = (environ["SCRIPT_NAME"] + environ["PATH_INFO"]).split("/")[1]
        url, method = _url_of(environ), environ["REQUEST_METHOD"]
        if method not in ("GET", "HEAD", "OPTIONS") and kind not in ("missing", "broken"):
            self.versions[url] = self.versions.get(url, 0) + 1
        seen = _seen(kind, environ) | {"version": self.versions.get(url, 0)}
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        said = [one for name, one in sorted(environ.items()) if isinstance(one, str) and MARK.search(one)]
        shown = json.dumps({"seen": seen, "said": said}, sort_keys=True).encode()
        if kind == "large":
            shown += b" " * 2000
        fields = [("Content-Type", "text/plain"), *self._fields(kind, environ, seen, said)]
        voice = environ.get("wsgistack.cache")
        if voice is not None and kind == "told-private":
            voice.private()
        if voice is not None and kind == "told-ttl":
            voice.ttl(30)
        tag = dict(fields).get("ETag")
        if tag is not None and environ.get("HTTP_IF_NONE_MATCH") == tag:
            start_response("304 Not Modified", fields[1:])
            return self._body([])
        part = environ.get("HTTP_RANGE", "") if kind == "ranged" and method == "GET" else ""
        if part in PARTS and environ.get("HTTP_IF_RANGE", tag) == tag:
            first, last = PARTS[part], len(shown) - 1 if part.endswith("-") else 9
            where = ("Content-Range", f"bytes {first}-{last}/{len(shown)}")
            start_response("206 Partial Content", [*fields, where])
            return self._body([shown[first : last + 1]])
        is_stream = "x" in environ["QUERY_STRING"]
        if not is_stream:
            fields.append(("Content-Length", str(len(shown))))
        start_response(STATUSES.get(kind, "200 OK"), fields)
        if method == "HEAD":
            return self._body([])
        late = voice.private if kind == "late-private" and voice is not None else None
        return self._body([shown[:7], shown[7:]] if late or is_stream else [shown], late)

    def _fields(
        self, kind: str, environ: Environ, seen: Environ, said: list[str]
    ) -> Iterator[tuple[str, str]]:
        found = MARK.search(repr(said))
        for name, value in KINDS.get(kind, []):
            value = value.replace("MARK", found[0] if found else "nobody")
            value = value.replace("TAG", f"{zlib.crc32(repr(sorted(seen.items())).encode()):x}")
            value = value.replace("DATE", formatdate(EPOCH - 86_400 + 60 * seen["version"], usegmt=True))
            yield name, value.replace("WHERE", f"{seen['wsgi.url_scheme']}://{environ['HTTP_HOST']}/there")

    def _body(self, blocks: list[bytes], late: Callable[[], object] | None = None) -> Iterable[bytes]:
        self.opened += 1
        return _Body(self, blocks, late)


def _seen(kind: str, environ: Environ) -> Environ:
    """Return what a page is made of, and is to be chosen by."""
    seen = {one: environ.get(one, "") for one in SEEN}
    seen |= {"at": (environ["SCRIPT_NAME"], environ["PATH_INFO"]), "host": _host_of(environ)}
    seen |= {"query": environ["QUERY_STRING"], "buckets": environ["wsgistack.buckets"]}
    if seen["HTTP_X_REQUESTED_WITH"] != "XMLHttpRequest":
        seen["HTTP_X_REQUESTED_WITH"] = ""
    if kind == "search":
        seen["query"] = _meant(environ["QUERY_STRING"])
    if kind in ("lang", "vary-both", "tagged"):  # spaces and capitals mean nothing, to the cache neither
        seen["HTTP_ACCEPT_LANGUAGE"] = seen["HTTP_ACCEPT_LANGUAGE"].replace(" ", "").lower()
    else:
        del seen["HTTP_ACCEPT_LANGUAGE"]
    return seen


def _url_of(environ: Environ) -> str:
    """Return the URL that a request is about, in one spelling."""
    raw = environ.get("RAW_URI")
    path = environ["SCRIPT_NAME"] + environ["PATH_INFO"] if raw is None else raw.partition("?")[0]
    query = query_of(environ["QUERY_STRING"])
    if "/search" in path:
        query = _meant(query)
    return f"{environ['SCRIPT_NAME']} {_host_of(environ)}{re.sub('^http://[^/]*', '', path)}?{query}"


def _meant(query: str) -> str:
    """Return what counts of a query where No-Vary-Search says so."""
    parts = query.replace("%61", "a").split("&")
    return "&".join(sorted([one for one in parts if not one.startswith("x=")], key=lambda one: one[0:1]))


def _host_of(seen: Environ) -> str:
    host, _, port = (seen.get("HTTP_HOST") or "localhost").lower().partition(":")
    default = "443" if seen["wsgi.url_scheme"] == "https" else "80"
    return f"{seen['wsgi.url_scheme']}://{host.rstrip('.')}" + (
        f":{port}" if port and port != default else ""
    )


def query_of(query: str) -> str:
    return "&".join([one for one in query.split("&") if not one.startswith("utm_source=")])


class _Body:
    def __init__(self, site: Site, blocks: list[bytes], late: Callable[[], object] | None) -> None:
        self._site, self._blocks, self._late = site, iter(blocks), late

    def __iter__(self) -> _Body:
        return self

    def __next__(self) -> bytes:
        block = next(self._blocks, None)
        if block is None:
            if self._late is not None:
                self._late()
            raise StopIteration
        return block

    def close(self) -> None:
        self._site.closed += 1


@dataclass
class Answer:
    """What a client got."""

    status: int
    fields: list[tuple[str, str]]
    body: bytes = b""

    def field(self, name: str) -> str | None:
        found = [value for one, value in self.fields if one.lower() == name]
        return ", ".join(found) if found else None

    @property
    def content(self) -> bytes:
        coding = self.field("content-encoding")
        assert coding in (None, "gzip"), coding
        return zlib.decompress(self.body, 31) if coding and self.body and self.status != 206 else self.body


def fetch(app: Any, environ: Environ) -> Answer:
    """Return what a server sends for *app*."""
    answers: list[Answer] = []

    def start(status: str, fields: list[tuple[str, str]], exc_info: Any = None) -> Any:
        answers.append(Answer(int(status[:3]), fields))

    body = app(environ, start)
    try:
        read = b"".join(body)
    finally:
        getattr(body, "close", lambda: None)()
    answers[-1].body = read
    return answers[-1]
