"""The compiled accounts where they could be built, else the plain ones: the same; see account."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsgistack.account import Belief, Bills, Decided, Deciding, Door, Hour, Notes, Quotas
else:
    try:
        from wsgistack.account_cy import Belief, Bills, Decided, Deciding, Door, Hour, Notes, Quotas
    except ImportError:
        from wsgistack.account import Belief, Bills, Decided, Deciding, Door, Hour, Notes, Quotas

__all__ = ["Belief", "Bills", "Decided", "Deciding", "Door", "Hour", "Notes", "Quotas"]
