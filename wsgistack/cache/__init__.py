"""The page cache: RFC 9111 as functions, and at its edges what carries them out.

`PageCache` is the middleware, `Rule` one of its rules, `bypass` what it may
say.  They are loaded when they are first used, so
that the balancer, which shares the engine, loads nothing of WSGI.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsgistack.cache.middleware import PageCache
    from wsgistack.cache.rules import Rule, bypass

__all__ = ["PageCache", "Rule", "bypass"]

MODULES = {"PageCache": "middleware", "Rule": "rules", "bypass": "rules"}


def __getattr__(name: str) -> object:
    if name not in MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *MODULES})
