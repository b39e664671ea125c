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
from wsgistack.errors import SettingError
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
    return PageCache(app, rules=[_make_rule(rule) for rule in rules], store=store or None, **settings)


def _make_rule(rule: Rule | Mapping[str, Any]) -> Rule:
    if isinstance(rule, Rule):
        return rule
    try:
        return Rule(**rule)
    except TypeError as error:
        raise SettingError(f"rules: {dict(rule)!r} is not a rule: {str(error).partition('() ')[2]}") from None
