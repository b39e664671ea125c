"""What the pages of an admin port show: asked of the supervisor."""

from __future__ import annotations

from typing import Any, Protocol

__all__ = ["View"]


class View(Protocol):
    """What the pages show."""

    def state(self) -> dict[str, Any]:
        """Return everything, as JSON carries it."""

    def metrics(self, accept: str) -> tuple[bytes, str]:
        """Return the metrics and their content type, in the format that *accept* prefers."""

    def unready(self) -> str:
        """Return why no request should be sent here, "" if nothing speaks against it."""
