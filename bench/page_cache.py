"""The page cache in process, beside Django's cache middleware in the same run.

    python -m bench.page_cache [--rounds N] [--profile | --purge]

A page of 10 kB behind 6 fields, asked for by a browser-like environ of 24 variables.  CPU time of this
process per request, turns taken in every round, medians over the rounds: the ratios count.  The part
over memcached starts one of its own, and is left out where there is none.
"""

from __future__ import annotations

import argparse
import cProfile
import io
import itertools
import os
import pstats
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import django
from django.conf import settings as django_settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse
from django.urls import path as django_path

from bench.ratelimit import Operation, find, measure, resident_bytes
from tools.real_memcached import running
from wsgistack import PageCache
from wsgistack.store.base import Store
from wsgistack.store.memory import MemoryStore

__all__ = ["ENVIRON", "main"]

WORDS = (
    "the",
    "of",
    "a",
    "cache",
    "page",
    "and",
    "visitor",
    "is",
    "shared",
    "store",
    "ring",
    "news",
    "reader",
)
# Text that compresses as a page does, to about a third.
BODY = " ".join([f"<p>{random.Random(n).choice(WORDS)} {n * 7919 % 1000}</p>" for n in range(1000)]).encode()[
    :10_000
]
FIELDS = [
    ("Content-Type", "text/html; charset=utf-8"),
    ("Cache-Control", "max-age=600"),
    ("ETag", '"0123456789abcdef"'),
    ("X-Frame-Options", "DENY"),
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Length", str(len(BODY))),
]
ENVIRON: dict[str, Any] = {
    "REQUEST_METHOD": "GET",
    "SCRIPT_NAME": "",
    "PATH_INFO": "/news/2026/11/some-page",
    "QUERY_STRING": "",
    "RAW_URI": "/news/2026/11/some-page",
    "SERVER_NAME": "127.0.0.1",
    "SERVER_PORT": "8000",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "REMOTE_ADDR": "192.0.2.1",
    "HTTP_HOST": "www.example.org",
    "HTTP_USER_AGENT": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "HTTP_ACCEPT": "text/html,application/xhtml+xml,*/*;q=0.8",
    "HTTP_ACCEPT_LANGUAGE": "en-US,en;q=0.5",
    "HTTP_ACCEPT_ENCODING": "gzip, deflate, br",
    "HTTP_CONNECTION": "keep-alive",
    "HTTP_UPGRADE_INSECURE_REQUESTS": "1",
    "wsgi.url_scheme": "http",
    "wsgi.version": (1, 0),
    "wsgi.input": io.BytesIO(),
    "wsgi.errors": sys.stderr,
    "wsgi.multithread": True,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
}
KINDS = ("cached", "plain")
GIB = 1 << 30
BLOCK_BYTES = 64 * 1024


def bare(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answer at once."""
    start_response("200 OK", FIELDS)
    return [BODY]


def large(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
    """Answer with 1 GiB, block by block."""
    start_response("200 OK", [("Content-Type", "video/x"), ("Cache-Control", "max-age=600")])
    for _ in range(GIB // BLOCK_BYTES):
        yield bytes(BLOCK_BYTES)  # a new one each time: who holds it shows


def to_nobody(*head: Any) -> Callable[[bytes], object]:
    """Take a head."""
    return lambda block: None


def read(body: Any) -> None:
    """Read and close a response as a server does."""
    for _ in body:
        pass
    close = getattr(body, "close", None)
    if close is not None:
        close()


def one(app: Any, **more: str) -> Operation:
    """Return one request to *app*; the first one is made at once."""
    environ = {**ENVIRON, **more}

    def ask() -> None:
        read(app(dict(environ), to_nobody))

    ask()
    return ask


def missing(app: Any, **more: str) -> Operation:
    """Return one request to *app* for a page that nobody asked for before."""
    environ, numbers = {**ENVIRON, **more}, itertools.count()

    def ask() -> None:
        path = f"/news/{next(numbers)}"
        read(app({**environ, "PATH_INFO": path, "RAW_URI": path}, to_nobody))

    ask()
    return ask


def django_app(cache: dict[str, str]) -> Any:
    """Return a Django site of one view behind Django's own page cache; once in a process."""
    urls = ModuleType("bench_page_cache_urls")
    view = lambda request, rest: HttpResponse(BODY)
    urls.urlpatterns = [django_path("news/<path:rest>", view)]  # type: ignore[attr-defined]
    sys.modules[urls.__name__] = urls
    django_settings.configure(
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=urls.__name__,
        SECRET_KEY="bench",
        CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}, "other": cache},
        MIDDLEWARE=[
            "django.middleware.cache.UpdateCacheMiddleware",
            "django.middleware.cache.FetchFromCacheMiddleware",
        ],
        USE_I18N=False,
    )
    django.setup()
    return WSGIHandler()


def plain_django() -> Any:
    """Return the site of `django_app` without its cache."""
    middleware, django_settings.MIDDLEWARE = django_settings.MIDDLEWARE, []
    try:
        return WSGIHandler()
    finally:
        django_settings.MIDDLEWARE = middleware


def show_added(title: str, pairs: dict[str, tuple[Operation, Operation]], *, rounds: int) -> None:
    """Print what each cache adds to its application; pairs of with and without, ours first."""
    operations = {
        f"{name}, {kind}": op for name, pair in pairs.items() for kind, op in zip(KINDS, pair, strict=True)
    }
    figures = measure(operations, rounds=rounds)
    added = {
        name: [
            cached - plain
            for cached, plain in zip(*[figures[f"{name}, {kind}"] for kind in KINDS], strict=True)
        ]
        for name in pairs
    }
    ours = next(iter(added.values()))
    print(f"\n### {title}\n\n|  | us added | of wsgistack's |\n|---|---|---|")
    for name, rows in added.items():
        of = [row / own for row, own in zip(rows, ours, strict=True)]
        print(f"| {name} | {statistics.median(rows):.2f} | {statistics.median(of):.1f} |")


def show(title: str, operations: dict[str, Operation], *, rounds: int, base: str | None = None) -> None:
    """Print a table of medians; with *base*, what ours adds to that."""
    figures = measure(operations, rounds=rounds)
    ours = next(name for name in figures if name.startswith("wsgistack"))
    print(f"\n### {title}\n\n|  | us | of wsgistack's |\n|---|---|---|")
    for name, rows in figures.items():
        of = [row / own for row, own in zip(rows, figures[ours], strict=True)]
        print(f"| {name} | {statistics.median(rows):.2f} | {statistics.median(of):.1f} |")
    if base:
        added = [row - plain for row, plain in zip(figures[ours], figures[base], strict=True)]
        print(f"| added by wsgistack | {statistics.median(added):.2f} |  |")


def in_memory(site: Any) -> dict[str, Operation]:
    """Return hits out of the memory of the process."""
    return {
        "wsgistack, no cookie": one(PageCache(bare)),
        "wsgistack, analytics cookies": one(PageCache(bare), HTTP_COOKIE="_ga=GA1.2.3.4; _gid=GA1.2.5"),
        "wsgistack, rfc9111": one(PageCache(bare, profile="rfc9111")),
        "wsgistack, 304": one(PageCache(bare), HTTP_IF_NONE_MATCH='"0123456789abcdef"'),
        "Django, LocMemCache": one(site),
    }


def over_memcached(site: Any, address: str) -> dict[str, Operation]:
    """Return hits out of memcached."""
    found: dict[str, Operation] = {"wsgistack, ring": one(PageCache(bare, store=f"memcached://{address}"))}
    if find("pymemcache"):
        found["Django, PyMemcacheCache"] = one(site)
    return found


def bypasses() -> dict[str, Operation]:
    """Return requests that the cache has nothing to do with."""
    return {
        "wsgistack, sessionid": one(PageCache(bare), HTTP_COOKIE="sessionid=0123456789"),
        "no cache": one(bare),
    }


def show_large() -> None:
    """Print what 1 GiB takes on its way through."""
    cache = PageCache(large)
    before, began = resident_bytes(), time.perf_counter()
    body = cache(dict(ENVIRON), to_nobody)
    blocks = iter(body)
    sent = len(next(blocks))
    first_ms, most = (time.perf_counter() - began) * 1e3, 0
    for number, block in enumerate(blocks):
        sent += len(block)
        if number % 256 == 0:
            most = max(most, resident_bytes() - before)
    body.close()  # type: ignore[attr-defined]  # it has one
    seconds = time.perf_counter() - began
    assert sent == GIB
    print(
        "\n### 1 GiB through the cache\n\n| first block, ms | growth of memory, kB | GiB/s |\n|---|---|---|"
    )
    print(f"| {first_ms:.2f} | {most / 1024:.0f} | {1 / seconds:.1f} |")


def tagged(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answer with a small page that has a tag."""
    environ["wsgistack.cache"].tag("news")
    start_response("200 OK", [("Cache-Control", "max-age=600"), ("Content-Length", "2")])
    return [b"ok"]


def show_purges(pages: int) -> None:
    """Print what it takes to purge a tag that so many pages have, by store, and that they are gone."""
    print(
        f"\n### A tag purged that {pages:,} pages have\n\n| store | first, ms | median of 9 more, ms |\n|---|---|---|"
    )
    show_purge("memory", MemoryStore(1 << 30), pages)
    name = f"bench-{os.getpid()}"
    try:
        show_purge("shared memory", f"shm:///{name}?size=512m", pages)
    finally:
        Path("/dev/shm", f"wsgistack-{name}").unlink(missing_ok=True)
    with running(1) as servers:
        show_purge("memcached", f"memcached://{servers[0].address}", pages)


def show_purge(name: str, store: Store | str, pages: int) -> None:
    """Print a row; who asks again after each purge gets a page that is made anew."""
    cache = PageCache(tagged, store=store)
    fill = missing(cache)
    for _ in range(pages):
        fill()
    times = []
    for number in range(10):
        began = time.perf_counter()
        cache.purge(tag="news")
        times.append((time.perf_counter() - began) * 1e3)
        assert "uri-miss" in cache.trace(f"http://www.example.org/news/{number}")[-1]
    print(f"| {name} | {times[0]:.2f} | {statistics.median(times[1:]):.2f} |", flush=True)


def profile(operation: Operation, calls: int = 50_000) -> None:
    """Print where the time of *operation* goes."""
    watch = cProfile.Profile()
    watch.enable()
    for _ in range(calls):
        operation()
    watch.disable()
    pstats.Stats(watch).sort_stats("tottime").print_stats(25)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.page_cache")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--profile", action="store_true", help="only where the time of a hit goes")
    parser.add_argument(
        "--purge",
        type=int,
        nargs="?",
        const=100_000,
        metavar="PAGES",
        help="only a tag that so many pages have, by store",
    )
    options = parser.parse_args()
    if options.profile:
        profile(one(PageCache(bare)))
        return
    if options.purge:
        show_purges(options.purge)
        return
    with running(1) as servers:
        address = servers[0].address
        site = django_app(
            {"BACKEND": "django.core.cache.backends.memcached.PyMemcacheCache", "LOCATION": address}
        )
        show("A hit, 10 kB, in memory", in_memory(site), rounds=options.rounds)
        misses = {
            "wsgistack": (missing(PageCache(bare)), missing(bare)),
            "Django, LocMemCache": (missing(site), missing(plain_django())),
        }
        show_added("A miss, 10 kB, in memory", misses, rounds=options.rounds)
        django_settings.CACHE_MIDDLEWARE_ALIAS = "other"
        remote = over_memcached(WSGIHandler(), address)
        show("A hit, 10 kB, over memcached on this machine", remote, rounds=options.rounds)
        ring = PageCache(bare, store=f"memcached://{address}")
        misses = {
            "wsgistack, ring": (missing(ring), missing(bare)),
            "Django, PyMemcacheCache": (missing(WSGIHandler()), missing(plain_django())),
        }
        show_added("A miss, 10 kB, over memcached on this machine", misses, rounds=options.rounds)
    show("A request that goes past the cache", bypasses(), rounds=options.rounds, base="no cache")
    show_large()


if __name__ == "__main__":
    main()
