"""The compiled Shortcut and Passing where they could be built, else the plain ones: the same; see shortcut."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsgistack.cache.shortcut import Passing, Shortcut
else:
    try:
        from wsgistack.cache.shortcut_cy import Passing, Shortcut
    except ImportError:
        from wsgistack.cache.shortcut import Passing, Shortcut

__all__ = ["Passing", "Shortcut"]
