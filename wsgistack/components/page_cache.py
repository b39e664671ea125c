"""`page_cache`: pages that may be shared are answered without the application; see wsgistack.PageCache.

wrap(app, page_cache=True)
wrap(app, page_cache={"store": "memcached://10.0.0.1", "rules": [{"path": "/news/*", "ttl": 60}]})
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from wsgistack.cache.middleware import PageCache
from wsgistack.cache.rules import Rule
from wsgistack.cache.settings import SETTINGS
from wsgistack.components import make_rules
from wsgistack.wsgi import WSGIApplication

__all__ = ["HELP", "MAIN", "NAME", "OBJECTS", "PLACE", "SETTINGS", "make"]

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


def make(
    app: WSGIApplication, *, store: Any = "", rules: Iterable[Rule | Mapping[str, Any]] = (), **settings: Any
) -> PageCache:
    """Return the cache around *app*.  *rules*: Rule objects, or mappings of their arguments."""
    return PageCache(app, rules=make_rules(Rule, rules), store=store or None, **settings)
