"""Rows of counts, in memory or in files that outlive the process.

A file holds what one process counted in one hour:

    page of 4096 bytes   magic, the hour
    rows of 152 bytes    7 counts of 8 bytes, the lengths of the rule's name and of the key, both texts

The file is mapped and counted in place: what was counted is in it at once, without a system call, and
stays when the process is killed.  Only a machine that stops loses what its kernel has not written.
"""

from __future__ import annotations

import errno
import mmap
import os
import re
import struct
from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple, TypeAlias

from wsgistack.errors import SettingError
from wsgistack.files import read_regular

__all__ = [
    "COLUMNS",
    "Row",
    "RowFile",
    "Usage",
    "drop_old",
    "list_held",
    "make_folder",
    "merge",
    "read_folder",
]

NONE_OF_OURS = (errno.ENOENT, errno.EISDIR, errno.EINVAL)  # too old, a folder, a pipe
COLUMNS = ("1xx", "2xx", "3xx", "4xx", "5xx", "refused", "would_refuse")
MAGIC = b"wsgistack usage 1\n"
HEAD_BYTES = 4096
ROW_BYTES = 152
CHUNK_ROWS = 1024  # 38 pages
COUNT_BYTES = 8 * len(COLUMNS)
RULE_BYTES, KEY_BYTES = 64, 30
NAME = re.compile(r"([0-9]{1,9})-[0-9]+-[0-9a-f]+\.(usage|limits)")

Row: TypeAlias = "list[int] | memoryview[int]"


class Usage(NamedTuple):
    """What was counted for a key under a rule in the hour that begins *hour* * 3600 s after the epoch."""

    hour: int
    rule: str
    key: bytes
    counts: tuple[int, ...]  # in the order of COLUMNS


class RowFile:
    """The file of one process and hour in *folder*; OSError where there is no room.

    *kind*: `usage`, or `limits` for rows of statistics.
    """

    _fd = -1

    def __init__(self, folder: Path, hour: int, *, kind: str = "usage") -> None:
        path = folder / f"{hour}-{os.getpid()}-{os.urandom(4).hex()}.{kind}"
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.write(self._fd, (MAGIC + struct.pack("<Q", hour)).ljust(HEAD_BYTES, b"\0"))
        except OSError:
            self._close()
            raise
        self._rows = 0
        self._chunk: mmap.mmap | None = None

    def __del__(self) -> None:
        self._close()

    def _close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def add(self, rule: str, key: bytes) -> Row:
        """Return the counts of a new row, which are in the file."""
        place = self._rows % CHUNK_ROWS
        if place == 0:
            begin = HEAD_BYTES + self._rows * ROW_BYTES
            os.posix_fallocate(self._fd, begin, CHUNK_ROWS * ROW_BYTES)  # now, not as SIGBUS later
            self._chunk = mmap.mmap(self._fd, CHUNK_ROWS * ROW_BYTES, offset=begin)
        assert self._chunk is not None
        self._rows += 1
        at = place * ROW_BYTES
        name, text = rule.encode()[:RULE_BYTES], _short(key)
        self._chunk[at + COUNT_BYTES : at + COUNT_BYTES + 2 + len(name) + len(text)] = (
            bytes([len(name), len(text)]) + name + text
        )
        return memoryview(self._chunk)[at : at + COUNT_BYTES].cast("Q")


def _short(key: bytes) -> bytes:
    return key if len(key) <= KEY_BYTES else blake2b(key, digest_size=16).digest()


def make_folder(path: str | os.PathLike[str]) -> Path:
    """Return the folder, made if it is not there; SettingError if nothing can be kept in it."""
    folder = Path(path)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingError(f"meter: {folder}: {error.strerror}") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise SettingError(f"meter: {folder}: cannot be written to")
    return folder


def drop_old(folder: Path, before: int) -> None:
    """Remove the files of hours before *before*."""
    for name in os.listdir(folder):
        found = NAME.fullmatch(name)
        if found and int(found[1]) < before:
            (folder / name).unlink(missing_ok=True)


def read_folder(folder: Path, *, since: int = 0, kind: str = "usage") -> Iterator[Usage]:
    """Return the rows of that *kind* of all processes, from the hour *since* on; nothing is merged.

    Raises OSError for a folder that cannot be read; a file that is none of ours is passed over.
    """
    for name in sorted(os.listdir(folder)):
        found = NAME.fullmatch(name)
        if found and int(found[1]) >= since and found[2] == kind:
            try:
                data = read_regular(folder / name)
            except OSError as error:
                if error.errno in NONE_OF_OURS:
                    continue
                raise
            if data.startswith(MAGIC):
                yield from _rows_of(data, int(found[1]))


def list_held(hours: Mapping[int, Mapping[tuple[str, bytes], Row]], since: int) -> list[Usage]:
    """Return what is held in memory alone of {hour: {(rule, key): row}}, from the hour *since* on."""
    return [
        Usage(hour, rule, key, tuple(row))
        for hour, places in hours.items()
        if hour >= since
        for (rule, key), row in places.items()
        if isinstance(row, list)  # what is in a file is read there
    ]


def merge(rows: Iterable[Usage]) -> list[Usage]:
    """Return the sums of *rows* that are about the same, in their order."""
    totals: dict[tuple[int, str, bytes], list[int]] = {}
    for row in rows:
        sums = totals.setdefault(row[:3], [0] * len(COLUMNS))
        for number, count in enumerate(row.counts):
            sums[number] += count
    return [Usage(*place, tuple(sums)) for place, sums in sorted(totals.items())]


def _rows_of(data: bytes, hour: int) -> Iterator[Usage]:
    for at in range(HEAD_BYTES, len(data) - ROW_BYTES + 1, ROW_BYTES):
        name_bytes, key_bytes = data[at + COUNT_BYTES], data[at + COUNT_BYTES + 1]
        if not name_bytes:
            continue
        text = data[at + COUNT_BYTES + 2 : at + COUNT_BYTES + 2 + name_bytes + key_bytes]
        counts = struct.unpack_from(f"={len(COLUMNS)}Q", data, at)
        yield Usage(hour, text[:name_bytes].decode("ascii", "replace"), text[name_bytes:], counts)
