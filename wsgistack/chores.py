"""The compiled chores where they could be built, else the plain ones: the same; see chore."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsgistack.chore import Encodings, Names, Shares, Tags
else:
    try:
        from wsgistack.chore_cy import Encodings, Names, Shares, Tags
    except ImportError:
        from wsgistack.chore import Encodings, Names, Shares, Tags

__all__ = ["Encodings", "Names", "Shares", "Tags"]
