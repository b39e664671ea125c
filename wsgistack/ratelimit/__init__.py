"""Rate limits around any WSGI application: exact, cheap and fair.

`RateLimit` is the middleware, `Rule` one of its rules; `client_ip`, `client_network`, `header_key`,
`environ_key`, `first_of` and `everybody` say whom a rule counts by, `Meter` counts for bills and graphs,
`shedding` makes rules for the load of a whole service.  They are loaded when they are first used, so
that the balancer, which shares the engine, loads nothing of WSGI.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsgistack.ratelimit.clients import (
        client_ip,
        client_network,
        environ_key,
        everybody,
        first_of,
        header_key,
    )
    from wsgistack.ratelimit.load import shedding
    from wsgistack.ratelimit.meter import Meter
    from wsgistack.ratelimit.middleware import RateLimit
    from wsgistack.ratelimit.rules import Rule

__all__ = [
    "Meter",
    "RateLimit",
    "Rule",
    "client_ip",
    "client_network",
    "environ_key",
    "everybody",
    "first_of",
    "header_key",
    "shedding",
]

MODULES = {
    "RateLimit": "middleware",
    "Meter": "meter",
    "Rule": "rules",
    "shedding": "load",
    **dict.fromkeys(
        ("client_ip", "client_network", "environ_key", "everybody", "first_of", "header_key"), "clients"
    ),
}


def __getattr__(name: str) -> object:
    if name not in MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *MODULES})
