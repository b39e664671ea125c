"""A file that an operator edits while the site runs.

It is looked at once a second at most, by a request, and read again when it has changed: once for each
change, whatever is in it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from wsgistack.errors import SettingError
from wsgistack.files import read_regular

__all__ = ["LOOK_S", "FollowedFile"]

LOOK_S = 1.0

Stamp = tuple[int, int, int]


class FollowedFile:
    """The file at *path*, of *most_bytes*, which a *setting* names."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        setting: str,
        most_bytes: int,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._look_at = 0.0
        self._path = Path(path)
        self._setting = setting
        self._most_bytes = most_bytes
        self._monotonic = monotonic
        self._seen: Stamp | None = None

    def __str__(self) -> str:
        return f"{self._setting}: {self._path}"

    def is_due(self) -> bool:
        """Tell whether it has to be looked at."""
        return self._monotonic() >= self._look_at

    def read(self) -> bytes | None:
        """Return what is in a file that has changed since it was read, None for nothing new.

        SettingError for a file that cannot be read, or is a pipe or a device, which is tried again, and
        for one that is too large.
        """
        self._look_at = self._monotonic() + LOOK_S
        try:
            found = self._path.stat()
            seen = found.st_mtime_ns, found.st_size, found.st_ino
            if seen == self._seen:
                return None
            data = read_regular(self._path, most_bytes=self._most_bytes + 1)
        except (OSError, ValueError) as error:
            self._seen = None  # what comes back may be what was there before
            raise SettingError(f"{self}: {getattr(error, 'strerror', None) or error}") from None
        self._seen = seen
        if len(data) > self._most_bytes:
            raise SettingError(f"{self}: more than {self._most_bytes} bytes")
        return data

    def forget(self) -> None:
        """Take the file for one that has changed."""
        self._look_at, self._seen = 0.0, None
