"""The clock: compiled where that was possible, plain Python elsewhere; see clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsgistack.clock import SteadyClock
else:
    try:
        from wsgistack.clock_cy import SteadyClock
    except ImportError:
        from wsgistack.clock import SteadyClock

__all__ = ["SteadyClock"]
