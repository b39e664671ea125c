"""The compiled Taker where it could be built, else the plain one: the same answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsgistack.ratelimit.taking import Taker
else:
    try:
        from wsgistack.ratelimit.taking_cy import Taker
    except ImportError:
        from wsgistack.ratelimit.taking import Taker

__all__ = ["Taker"]
