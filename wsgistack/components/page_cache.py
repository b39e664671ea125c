"""`page_cache`: pages that may be shared are answered without the application; see wsgistack.PageCache.

wrap(app, page_cache=True)
wrap(app, page_cache={"store": "memcached://10.0.0.1", "rules": [{"path": "/news/*", "ttl": 60}]})
"""

from __future__ import annotations

from typing import Any

from wsgistack.cache.middleware import PageCache
from wsgistack.cache.settings import SETTINGS
from wsgistack.cache.texts import TEXTS, arguments
from wsgistack.components import refuse_text
from wsgistack.wsgi import WSGIApplication

__all__ = ["HELP", "MAIN", "NAME", "OBJECTS", "PLACE", "SETTINGS", "make", "read_text"]

NAME = "page_cache"
PLACE = 55
HELP = "pages for anonymous visitors out of a store, RFC 9111"
MAIN = "profile"
OBJECTS = (
    "rules",
    "store",
    "hosts",
    "ignored_parameters",
    "identity_cookies",
    "ignored_cookies",
    "key_cookies",
    "keyed_fields",
    "purge_from",
    "is_personal",
    "secret",
    "now",
)


def make(app: WSGIApplication, *, store: Any = "", **settings: Any) -> PageCache:
    """Return the cache around *app*."""
    return PageCache(app, store=store or None, **settings)


def read_text(name: str, text: str) -> object:
    """Return what a text of a file stands for, as the balancer's cache reads it: `*.example.com, example.com`."""
    if name == "secret":
        return text.encode()
    if name not in TEXTS:
        return refuse_text(name, text)
    return arguments(TEXTS.defaults() | {name: TEXTS.parse(name, text)})[name]
