"""The compiled Teller where it could be built, else the plain one: the same words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsgistack.ratelimit.telling import Teller
else:
    try:
        from wsgistack.ratelimit.telling_cy import Teller
    except ImportError:
        from wsgistack.ratelimit.telling import Teller

__all__ = ["Teller"]
