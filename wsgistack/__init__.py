"""The rest of the web stack for any WSGI application, and a balancer in front of it.

Public names are loaded when they are first used: importing the package imports nothing else.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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

try:
    __version__ = version("wsgistack")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "unknown"


def __getattr__(name: str) -> object:
    if name not in PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *PUBLIC})
