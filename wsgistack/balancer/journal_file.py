"""The journal on disk: appended to, synced, mended after a crash or a full disk."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field

from wsgistack.balancer.files import write_atomically
from wsgistack.balancer.journal import Entry, find_pending, parse_journal, saved, saving
from wsgistack.files import open_regular

__all__ = ["Journal", "JournalError"]

MODE = 0o600  # it names who changed what
LONG_BYTES = 1024 * 1024  # about 10,000 changes: from then on it is worth while to shorten it


class JournalError(Exception):
    """The journal cannot be read or written; str() says why and where."""


@dataclass(slots=True)
class Journal:
    """What was changed since the configuration file was read or saved.

    *path* "" keeps it in memory alone.  `pending` are the changes that the file does not have.
    What could not be written is kept, and written with the next change.
    """

    path: str = ""
    pending: list[Entry] = field(default_factory=list)
    torn: bytes = b""  # the end of the file that was cut off by a crash
    problems: list[tuple[int, str]] = field(default_factory=list)  # lines of the file that are none
    _unwritten: list[Entry] = field(default_factory=list)
    _shortest_bytes: int = 0  # what the file was shortened to, last time

    @classmethod
    def open(cls, path: str, text: str) -> Journal:
        """Return the journal at *path*, made if it is not there; *text* is the configuration file's.

        A torn last line is cut off.  Raises JournalError.
        """
        journal = cls(path)
        try:
            with open(open_regular(path, os.O_RDWR | os.O_CREAT, MODE), "r+b") as file:
                data = file.read()
                entries, journal.problems, journal.torn = parse_journal(data)
                if journal.torn:
                    file.truncate(len(data) - len(journal.torn))
                    os.fsync(file.fileno())
        except OSError as error:
            raise JournalError(f"journal {path}: {error.strerror or error}") from None
        journal.pending = find_pending(entries, text)
        return journal

    def add(self, entry: Entry) -> None:
        """Take a change in; `write` puts it on disk."""
        self.pending.append(entry)
        self._unwritten.append(entry)

    def write(self) -> None:
        """Put on disk what is not there yet, all or nothing of it; raise JournalError if that fails."""
        entries = self._unwritten
        if not self.path:
            entries.clear()
        if not entries:
            return
        data = "".join(f"{entry}\n" for entry in entries).encode("utf-8", "replace")
        count = len(entries)
        try:
            _append(self.path, data)
        except OSError as error:
            raise JournalError(f"journal {self.path}: {error.strerror or error}") from None
        del entries[:count]  # others may have come meanwhile

    @property
    def is_long(self) -> bool:
        """Tell whether the file is to be shortened: it is long, and twice as long as it was after the last time."""
        try:
            return bool(self.path) and os.path.getsize(self.path) > max(LONG_BYTES, 2 * self._shortest_bytes)
        except OSError:
            return False

    def shorten(self, pending: list[Entry]) -> None:
        """Let *pending*, which mean the same, be all that the file holds; raise JournalError.

        What it held stays beside it as PATH.before, until the next time.  A crash leaves one or the other.
        """
        text = "".join(f"{entry}\n" for entry in pending)
        try:
            before = f"{self.path}.before"
            with suppress(FileNotFoundError):
                os.unlink(before)
            os.link(self.path, before)
            write_atomically(self.path, text)
        except OSError as error:
            raise JournalError(f"journal {self.path}: {error.strerror or error}") from None
        self.pending = list(pending)
        self._shortest_bytes = len(text.encode("utf-8", "replace"))

    def mark_saving(self, entry: Entry, text: str) -> None:
        """Note that *text* is about to become the configuration file; raise JournalError."""
        self._unwritten.append(Entry(entry.at, entry.peer, saving(text)))
        self.write()

    def mark_saved(self, entry: Entry) -> None:
        """Note that the configuration file has all changes now; raise JournalError."""
        self.pending.clear()
        self._unwritten.append(Entry(entry.at, entry.peer, saved()))
        self.write()


def _append(path: str, data: bytes) -> None:
    """Append *data* and sync it; when that fails, the file is as it was before."""
    descriptor = open_regular(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, MODE)
    try:
        size = os.fstat(descriptor).st_size
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(descriptor, left) :]
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, size)  # a disk may be full within a line
            raise
    finally:
        os.close(descriptor)
