"""The compiled twin of `lot`, or `lot` itself where nothing could be compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsgistack.lot import Lots
else:
    try:
        from wsgistack.lot_cy import Lots
    except ImportError:
        from wsgistack.lot import Lots

__all__ = ["Lots"]
