"""One page cache as a value, and what workers must know of it to tell who may be answered by it.

The rules are the WSGI edge's own: cache/personal.py has the names, cache/texts.py the settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wsgistack.cache.signs import ASKING_FIELDS, IDENTITY_FIELDS
from wsgistack.cache.texts import find_visitors
from wsgistack.settings import Value

__all__ = ["Cache"]

Wire = dict[str, Any]  # JSON

# By these a balancer itself tells a node how a request came: see keeper/server.py.
TOLD_BY_US = ("x-forwarded-proto",)
FRAMES = ("content-length", "transfer-encoding", "upgrade", "cookie")  # the plane looks at these by itself


@dataclass(frozen=True, slots=True)
class Cache:
    """A cache with all settings of cache/texts.TEXTS."""

    name: str
    settings: Mapping[str, Value]

    @property
    def is_for_guests(self) -> bool:
        """True where only anonymous visitors share pages."""
        return self.settings["profile"] == "anonymous"

    def as_wire(self) -> Wire:
        """Return it as the plane and the keeper want it.

        *asks*: request fields with any of which the keeper decides; *personal*: those with any of
        which a request goes past the cache.
        """
        asks = [*ASKING_FIELDS, "pragma"]
        personal: list[str] = []
        if self.is_for_guests:
            keyed = find_visitors(self.settings).telling[0]
            left_out = {*IDENTITY_FIELDS, *TOLD_BY_US, *FRAMES}
            asks += [name for name in keyed if name not in left_out]
            personal += IDENTITY_FIELDS
        else:
            asks += ["authorization", "cookie"]
        shown = {
            key: list(value) if isinstance(value, tuple) else value for key, value in self.settings.items()
        }
        return {"asks": asks, "personal": personal, "settings": shown}
