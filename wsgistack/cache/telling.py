"""What a page cache says in the log: an event, and what it is about, readable whatever format the log has."""

from __future__ import annotations

import logging
from types import TracebackType

__all__ = ["tell"]

log = logging.getLogger("wsgistack.cache")

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None] | bool


def tell(event: str, *, exc_info: ExcInfo = False, **about: object) -> None:
    """Warn of *event*; *about* stands in the message, each in the spelling of Python, and in the record."""
    words = "".join(f" {name}=%r" for name in about)
    log.warning(event + words, *about.values(), extra=about, exc_info=exc_info)
