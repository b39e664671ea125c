"""The compiled Shortcut where it could be built, else the plain one: the same; see shortcut."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsgistack.cache.shortcut import Shortcut
else:
    try:
        from wsgistack.cache.shortcut_cy import Shortcut
    except ImportError:
        from wsgistack.cache.shortcut import Shortcut

__all__ = ["Shortcut"]
