"""Metering in the balancer: the files in which workers count, and what is read from them.

They are those of the WSGI edge (ratelimit/rows.py): one of each worker and hour, in one folder, so that
`python -m wsgistack.ratelimit usage FOLDER` reads them too.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from wsgistack.ratelimit.clients import hash_credential
from wsgistack.ratelimit.meter import OTHERS
from wsgistack.ratelimit.rows import Row, RowFile, Usage, drop_old, make_folder, merge, read_folder

__all__ = ["KEEP_HOURS", "Book", "read_usage", "this_hour"]

KEEP_HOURS = 35 * 24
V4 = bytes(10) + b"\xff\xff"


class Book:
    """The rows of one worker, made when somebody is met for the first time in an hour; see plane/meter.pyx.

    *tell* is called with an event when a row could not be made.  SettingError if nothing can be kept in *folder*.
    """

    OTHERS = OTHERS

    def __init__(self, folder: str, tell: Callable[[dict[str, object]], None]) -> None:
        self._folder = make_folder(folder)
        self._tell = tell
        self._hour = -1
        self._told = -1
        self._file: RowFile | None = None
        self._mapped: list[Row] = []  # one row of each mapping keeps it

    def add(self, hour: int, rule: str, key: bytes) -> Row:
        """Return the counts of a new row, mapped until another hour begins; OSError where there is no room."""
        if hour != self._hour:
            self._begin(hour)
        if self._file is None:
            self._file = RowFile(self._folder, hour)
        row = self._file.add(rule, key)
        assert isinstance(row, memoryview)
        if not self._mapped or self._mapped[-1].obj is not row.obj:  # type: ignore[union-attr]
            self._mapped.append(row)
        return row

    def _begin(self, hour: int) -> None:
        self._hour, self._file, self._mapped = hour, None, []
        drop_old(self._folder, hour - KEEP_HOURS + 1)

    @staticmethod
    def key(text: bytes, service: str, credential: bytes, ipv6_prefix: int) -> bytes:
        """Return the key as the WSGI edge counts it; *text* is the plane's (plane/asker.pyx).

        >>> Book.key(b"a" + V4 + bytes([192, 0, 2, 1]), "", b"", 64)
        b'\\xc0\\x00\\x02\\x01'
        """
        if text[:1] == b"a":
            if text[1:13] == V4:
                return text[13:]
            return text[1:17][: max(-(-ipv6_prefix // 8), 5)]
        if text[:1] == b"h":
            return hash_credential(credential.decode("latin-1"))
        return f"service {service}".encode() if text[:1] == b"s" else text

    def tell(self, error: Exception) -> None:
        """Say once an hour that somebody could not be counted."""
        if self._told != self._hour:
            self._told = self._hour
            reason = getattr(error, "strerror", None) or repr(error)
            self._tell({"event": "usage_lost", "folder": str(self._folder), "error": str(reason)})


def this_hour() -> int:
    """Return the number of the present hour since the epoch."""
    return int(time.time()) // 3600


def read_usage(folder: str, *, since: int) -> list[Usage]:
    """Return what all workers counted from the hour *since* on; OSError for a folder that cannot be read."""
    return merge(read_folder(Path(folder), since=since))
