"""Applications behind a page cache, and how they are asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from webob import Request

from wsgistack.cache.middleware import PageCache
from wsgistack.store.memory import MemoryStore

__all__ = [
    "FRESH",
    "NOW",
    "TEXT",
    "Closing",
    "Shop",
    "ask",
    "cached",
    "guest",
    "heard_by",
    "page",
    "pages_in",
]

TEXT = ("Content-Type", "text/plain")
FRESH = [TEXT, ("Cache-Control", "max-age=60")]
NOW = 1_795_000_000.0


class Shop:
    """An application that counts, whose answers are pages in the order given, the last one again and again."""

    def __init__(self, *pages: Callable[[dict[str, Any], Any], Iterable[bytes]]) -> None:
        self.pages = pages
        self.asked: list[dict[str, Any]] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self.asked.append(environ)
        page = self.pages[min(len(self.asked), len(self.pages)) - 1]
        return page(environ, start_response)


def page(
    *blocks: bytes, status: str = "200 OK", headers: list[tuple[str, str]] | None = None
) -> Callable[[dict[str, Any], Any], Iterable[bytes]]:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response(status, FRESH if headers is None else headers)
        return list(blocks)

    return app


def cached(app: Any, **options: Any) -> PageCache:
    return PageCache(app, **{"profile": "rfc9111", "now": lambda: NOW, **options})


def ask(app: Any, path: str = "/", method: str = "GET", **headers: str) -> Any:
    request = Request.blank(path, method=method)
    for name, value in headers.items():
        request.headers[name.replace("_", "-")] = value
    response = request.get_response(app)
    response.body  # noqa: B018 - reads and closes it, as a server does
    return response


def heard_by(heads: list[Any]) -> Any:
    """Return a start_response that adds what it is called with to *heads*."""

    def start_response(*head: Any) -> Callable[[bytes], object]:
        heads.append(head)
        return lambda block: None

    return start_response


class Closing:
    """A body that counts how often it is closed."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self.blocks = iter(blocks)
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        return self.blocks

    def close(self) -> None:
        self.closed += 1


def guest(app: Any, **options: Any) -> PageCache:
    return PageCache(app, **{"now": lambda: NOW, **options})


def pages_in(store: MemoryStore) -> int:
    """Return how many pages there are; a store holds the ledger of purges beside them."""
    return sum(key.startswith("p:") for key in store._entries)
