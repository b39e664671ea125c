"""One nodefile, looked at again and again: what is new about it since the last look."""

from __future__ import annotations

import os
from dataclasses import dataclass

from wsgistack.balancer.outside import Files

__all__ = ["News", "NodefileWatch"]

# A file may be written twice within the resolution of its times, and be read in between.
SETTLED_S = 2.0

Signature = tuple[int, int, int]  # mtime in nanoseconds, size, inode


@dataclass(frozen=True, slots=True)
class News:
    """The file's *text*, or the *error* that keeps it from being read."""

    text: str = ""
    error: str = ""


class NodefileWatch:
    """Remembers what was seen of the file at *path*."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._seen: Signature | None = None
        self._read: Signature | None = None  # None: what was read may be old already
        self._text: str | None = None
        self._error = ""

    def look(self, files: Files, now: float) -> News | None:
        """Return what changed since the last look, None if nothing did; *now* in epoch seconds.

        A file that changes is read when two looks in a row met it in the same state, so that one
        that is being written is not taken for a short one.
        """
        try:
            status = os.stat(self.path)
            signature = (status.st_mtime_ns, status.st_size, status.st_ino)
            is_moving, self._seen = signature != self._seen, signature
            if self._text is not None and (is_moving or signature == self._read):
                return None
            text = files.read(self.path)
        except OSError as error:
            return self._fail(error.strerror or str(error))
        self._read = signature if now - status.st_mtime > SETTLED_S else None
        if text == self._text and not self._error:
            return None
        self._text, self._error = text, ""
        return News(text)

    def _fail(self, error: str) -> News | None:
        """Return the news of a failure, once."""
        self._seen = self._read = None
        if error == self._error:
            return None
        self._error = error
        return News(error=error)
