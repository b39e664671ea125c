"""Filters for PasteDeploy: `egg:wsgistack` is a whole stack, `egg:wsgistack#rate_limit` one component.

    [filter:stack]
    use = egg:wsgistack
    trust = 10.0.0.0/8
    rate_limit = 100/minute
    compression = on
    compression.level = 9

    [filter:limit]
    use = egg:wsgistack#rate_limit
    rate = 100/minute

    [pipeline:main]
    pipeline = stack mysite

Each name of the family wsgistack.components is an attribute of this module.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from wsgistack.components import COMPONENTS
from wsgistack.settings import EMPTY_WORDS, FALSE_WORDS, TRUE_WORDS
from wsgistack.stack import Stack, wrap
from wsgistack.wsgi import WSGIApplication

__all__ = ["stack"]


def stack(app: WSGIApplication, global_conf: Mapping[str, str], /, **settings: str) -> Stack:
    """Return *app* inside of the components that *settings* name: `name` or `name.setting`, all texts."""
    parts: dict[str, object] = {}
    nested: dict[str, dict[str, object]] = {}
    for name, value in settings.items():
        component, dot, setting = name.partition(".")
        if dot:
            nested.setdefault(component, {})[setting] = value
        else:
            parts[name] = value
    for name, more in nested.items():
        bare = settings.get(name, "on")
        if bare.lower() not in FALSE_WORDS:
            parts[name] = _main(name, bare) | more
    return wrap(app, parts)


def _main(name: str, value: str) -> dict[str, object]:
    """Return the settings that a bare value stands for."""
    if value.lower() in (*TRUE_WORDS, *EMPTY_WORDS, "") or name not in COMPONENTS.names():
        return {}  # of an unknown component wrap says what there is
    return {COMPONENTS.get(name).main: value}


def _one(name: str, app: WSGIApplication, global_conf: Mapping[str, str], /, **settings: str) -> Stack:
    return wrap(app, {name: settings})


def __getattr__(name: str) -> Callable[..., Stack]:
    if name not in COMPONENTS.names():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return partial(_one, name)
