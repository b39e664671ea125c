"""Which pages need no decision any more: they lie in the table out of which all workers answer.

A page goes in when it answered a plain GET, and only if it would answer the same bytes again: it is
fresh, and chosen by nothing but what the table's key has.  It goes out before anybody is told that it
was purged or replaced.  A look that began before that puts nothing in: see `mark`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from wsgistack.cache.found import Found, Place
from wsgistack.cache.page import Page
from wsgistack.wsgi import Environ

__all__ = ["SERVICE", "Ready", "Table"]

SERVICE = "wsgistack.service"  # in an environ: the number of the service
MOST_KEYS = 65_536
KEYED_HERE = ((), ("accept-encoding",))
FRAMING = frozenset(("content-length", "transfer-encoding", "connection", "age", "cache-status"))

MakeKey = Callable[[int, bytes, bytes, bytes, bytes], bytes]


class Table(Protocol):
    """What is asked of balancer/plane/ready_table."""

    def publish(
        self,
        key: bytes,
        *,
        head_before: bytes,
        head_after: bytes,
        body: bytes,
        born: float,
        expires_at: float,
    ) -> bool: ...
    def drop(self, key: bytes) -> bool: ...
    def clear(self) -> None: ...


class Ready:
    """The table as one cache uses it; *make_key* is plane/ready_table.ready_key.

    For one greenlet at a time: nothing here waits.
    """

    def __init__(self, table: Table, make_key: MakeKey) -> None:
        self._table = table
        self._make_key = make_key
        self._keys: dict[str, set[bytes]] = {}  # by place
        self._count = 0
        self.mark = 0

    def answered(self, environ: Environ, place: Place, found: Found, mark: int) -> None:
        """See cache.shortcut.Witness."""
        if mark != self.mark or len(found.pages) != 1:
            return
        page = found.pages[0]
        if found.sets > 1 or tuple([name for name, _ in page.selecting]) not in KEYED_HERE:
            return
        if page.head.field("no-vary-search") is not None:  # it may lie in another place than this
            return
        self._publish(self._key_of(environ), place.key.text, page)

    def _key_of(self, environ: Environ) -> bytes:
        get = environ.get
        words = (environ["wsgi.url_scheme"], get("HTTP_HOST", ""), environ["RAW_URI"])
        scheme, host, target = [str(word).encode("latin-1") for word in words]
        encoding = str(get("HTTP_ACCEPT_ENCODING", "")).encode("latin-1")
        return self._make_key(int(environ[SERVICE]), scheme, host, target, encoding)

    def _publish(self, key: bytes, place: str, page: Page) -> None:
        terms = page.terms
        is_there = self._table.publish(
            key,
            head_before=_head_of(page),
            head_after=b"",
            body=page.body,
            born=terms.received_at - terms.initial_age_s,
            expires_at=page.fresh_until,
        )
        if not is_there:
            return
        if self._count >= MOST_KEYS:
            self.clear()
            return
        keys = self._keys.setdefault(place, set())
        self._count += key not in keys
        keys.add(key)

    def changed(self, places: Iterable[str]) -> None:
        """Take out what lies in *places*, given as the texts of their keys."""
        self.mark += 1
        for place in places:
            for key in self._keys.pop(place, ()):
                self._count -= 1
                self._table.drop(key)

    def clear(self) -> None:
        """Take everything out, that of other caches too."""
        self.mark += 1
        self._keys.clear()
        self._count = 0
        self._table.clear()


def _head_of(page: Page) -> bytes:
    lines = [f"HTTP/1.1 {page.head.status} {page.head.reason}"]
    lines += [f"{name}: {value}" for name, value in page.ready if name.lower() not in FRAMING]
    return "".join([line + "\r\n" for line in lines]).encode("latin-1")
