"""The compiled accounts where they could be built, else the plain ones: the same; see account."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsgistack.account import Belief, Bills, Door, Quotas, json_line
else:
    try:
        from wsgistack.account_cy import Belief, Bills, Door, Quotas, json_line
    except ImportError:
        from wsgistack.account import Belief, Bills, Door, Quotas, json_line

__all__ = ["Belief", "Bills", "Door", "Quotas", "json_line"]
