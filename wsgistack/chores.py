"""The compiled chores where they could be built, else the plain ones: the same; see chore."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsgistack.chore import Belief, Bills, Door, Encodings, Owners, Quotas, Shares, Tags, json_line
else:
    try:
        from wsgistack.chore_cy import Belief, Bills, Door, Encodings, Owners, Quotas, Shares, Tags, json_line
    except ImportError:
        from wsgistack.chore import Belief, Bills, Door, Encodings, Owners, Quotas, Shares, Tags, json_line

__all__ = ["Belief", "Bills", "Door", "Encodings", "Owners", "Quotas", "Shares", "Tags", "json_line"]
