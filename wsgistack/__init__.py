"""The rest of the web stack for any WSGI application, and a balancer in front of it.

Public names are loaded when they are first used: importing the package imports nothing else.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    __version__: str
    from wsgistack.cache.middleware import PageCache
    from wsgistack.ratelimit.middleware import RateLimit
    from wsgistack.stack import wrap
    from wsgistack.store.memcached.ring import MemcacheRing
    from wsgistack.store.objects import ObjectCache
    from wsgistack.store.url import make_store

__all__ = ["MemcacheRing", "ObjectCache", "PageCache", "RateLimit", "__version__", "make_store", "wrap"]

# name: the module that holds it
PUBLIC: dict[str, str] = {
    "MemcacheRing": "wsgistack.store.memcached.ring",
    "ObjectCache": "wsgistack.store.objects",
    "PageCache": "wsgistack.cache.middleware",
    "RateLimit": "wsgistack.ratelimit.middleware",
    "make_store": "wsgistack.store.url",
    "wrap": "wsgistack.stack",
}


def _find_version() -> str:
    from importlib.metadata import PackageNotFoundError, version  # 30 ms, for who asks

    try:
        return version("wsgistack")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "unknown"


def __getattr__(name: str) -> object:
    if name == "__version__":
        return _find_version()
    if name not in PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *PUBLIC})
