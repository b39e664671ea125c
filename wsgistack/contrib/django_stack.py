"""`wrap_application`: the components that Django's settings name, and checks of those settings.

    # settings.py
    INSTALLED_APPS = ["wsgistack.contrib.django_stack.Checks", ...]
    WSGISTACK = {"trust": ["10.0.0.0/8"], "rate_limit": "100/minute", "compression": True}

    # wsgi.py
    application = wrap_application(get_wsgi_application())

WSGISTACK is whatever `wsgistack.wrap` takes: a mapping, a list, the path of a TOML file.  `manage.py
check` tells what is wrong with it, `check --deploy` also what the settings table CHECKS asks for; each
has an id for SILENCED_SYSTEM_CHECKS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

from wsgistack.errors import ConfigurationError
from wsgistack.stack import Stack, wrap
from wsgistack.wsgi import WSGIApplication

__all__ = ["CHECKS", "Checks", "wrap_application"]

LOCAL_CACHE = "django.core.cache.backends.locmem.LocMemCache"
ADAPTER = "wsgistack.contrib.django_pages.PageCacheMiddleware"


def wrap_application(application: WSGIApplication) -> Stack:
    """Return *application* inside of the components that settings.WSGISTACK names.

    ConfigurationError tells what is wrong with them.
    """
    config = getattr(settings, "WSGISTACK", None)
    if config is None:
        raise ConfigurationError('settings.WSGISTACK is missing; an example: {"rate_limit": "100/minute"}')
    return wrap(application, config)


def _listed(name: str) -> list[object]:
    """Return what a setting of Django's lists, nothing where it is no list, which is not ours to tell."""
    value = getattr(settings, name)
    return list(value) if isinstance(value, Iterable) else []


def _any_host(parts: set[str]) -> bool:
    return "*" in _listed("ALLOWED_HOSTS")


def _no_origin(parts: set[str]) -> bool:
    is_https = settings.SESSION_COOKIE_SECURE or settings.CSRF_COOKIE_SECURE or settings.SECURE_SSL_REDIRECT
    knows = "trust" in parts or settings.SECURE_PROXY_SSL_HEADER or settings.CSRF_TRUSTED_ORIGINS
    return bool(is_https and not knows)


def _believes_scheme(parts: set[str]) -> bool:
    return bool(settings.SECURE_PROXY_SSL_HEADER) and "trust" not in parts


def _local_cache(parts: set[str]) -> bool:
    caches = settings.CACHES.values() if isinstance(settings.CACHES, Mapping) else ()
    return any(isinstance(cache, Mapping) and cache.get("BACKEND") == LOCAL_CACHE for cache in caches)


def _believes_host(parts: set[str]) -> bool:
    return bool(settings.USE_X_FORWARDED_HOST) and "trust" not in parts


def _one_limit(parts: set[str]) -> bool:
    has_proxy = settings.SECURE_PROXY_SSL_HEADER or settings.USE_X_FORWARDED_HOST
    return bool(has_proxy) and "rate_limit" in parts and "trust" not in parts


def _no_adapter(parts: set[str]) -> bool:
    return "page_cache" in parts and _listed("MIDDLEWARE")[:1] != [ADAPTER]


# id: (whether it applies, given the components' names; what is so; what to do about it)
CHECKS: dict[str, tuple[Callable[[set[str]], bool], str, str]] = {
    "wsgistack.W001": (
        _any_host,
        "ALLOWED_HOSTS has '*': any name that a client writes makes pages and links of its own.",
        "List the names of this site.",
    ),
    "wsgistack.W002": (
        _no_origin,
        "Nothing tells Django that a request came by https: forms are refused, redirects go on for ever.",
        "Give `trust` the proxy's network in WSGISTACK, or list the site's origin in CSRF_TRUSTED_ORIGINS.",
    ),
    "wsgistack.W003": (
        _believes_scheme,
        "SECURE_PROXY_SSL_HEADER is believed of whoever sends it.",
        "Give `trust` the proxy's network in WSGISTACK: it removes the field from everybody else.",
    ),
    "wsgistack.W004": (
        _local_cache,
        "CACHES has a LocMemCache: each worker has one of its own, and a deletion reaches one of them.",
        "Use wsgistack.contrib.django.MemcacheRingCache.",
    ),
    "wsgistack.W005": (
        _believes_host,
        "USE_X_FORWARDED_HOST is on, so the host is whatever a client writes.",
        "Give `trust` the proxy's network in WSGISTACK: it removes the field from everybody else.",
    ),
    "wsgistack.W006": (
        _one_limit,
        "`rate_limit` stands behind a proxy without `trust`: all clients of the proxy share one limit.",
        "Give `trust` the proxy's network in WSGISTACK.",
    ),
    "wsgistack.W007": (
        _no_adapter,
        "The page cache does not hear from Django which responses are for one visitor.",
        f"Put {ADAPTER} first into MIDDLEWARE.",
    ),
}


def check_stack(app_configs: object = None, **rest: Any) -> list[CheckMessage]:
    """Return what is wrong with WSGISTACK."""
    try:
        _find_parts()
    except ConfigurationError as error:
        return [Error(str(error), obj="settings.WSGISTACK", id="wsgistack.E001")]
    return []


def check_deployment(app_configs: object = None, **rest: Any) -> list[CheckMessage]:
    """Return which of CHECKS apply."""
    try:
        parts = _find_parts()
    except ConfigurationError:
        return []  # check_stack says so
    return list(_apply(parts))


def _apply(parts: set[str]) -> Iterator[CheckMessage]:
    for name, (applies, told, hint) in CHECKS.items():
        if applies(parts):
            yield Warning(told, hint=hint, id=name)


def _find_parts() -> set[str]:
    """Return the names of the components; none where there is no WSGISTACK."""
    if getattr(settings, "WSGISTACK", None) is None:
        return set()
    return {name for name, _ in wrap_application(_nothing).layers}


def _nothing(environ: Any, start_response: Any) -> Iterable[bytes]:
    return []


class Checks(AppConfig):  # type: ignore[misc]  # Django has no annotations
    """The entry for INSTALLED_APPS: registers the checks."""

    name = "wsgistack.contrib"
    label = "wsgistack"

    def ready(self) -> None:
        """Register them."""
        register(check_stack, Tags.security)
        register(check_deployment, Tags.security, deploy=True)
