"""The compiled lines where they could be built, else the plain ones: the same; see line."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsgistack.line import Lines, json_line
else:
    try:
        from wsgistack.line_cy import Lines, json_line
    except ImportError:
        from wsgistack.line import Lines, json_line

__all__ = ["Lines", "json_line"]
