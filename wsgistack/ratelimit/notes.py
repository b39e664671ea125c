"""Where an operator's word is kept so that all who share the limits read it: a store, a file, or this process.

A note is a small text under a name.  `read` costs a round trip, or one system call where it is a file;
`change` is one step for everybody.  Both raise StoreError while the place is in trouble.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from fcntl import LOCK_EX, flock
from pathlib import Path
from stat import S_ISREG
from typing import Protocol

from wsgistack.errors import SettingError, StoreDown
from wsgistack.store.base import Store

__all__ = ["Change", "FileNote", "MemoryNote", "NoNote", "Note", "StoreNote"]

LARGEST_BYTES = 512 * 1024
LIVES_S = 366 * 86_400.0

Change = Callable[[bytes], bytes]


class Note(Protocol):
    """A text that all who share the limits see; b"" at first."""

    def read(self) -> bytes: ...

    def change(self, change: Change) -> bytes: ...


class MemoryNote:
    """A note of this process."""

    def __init__(self) -> None:
        self._text = b""

    def read(self) -> bytes:
        """Return the text."""
        return self._text

    def change(self, change: Change) -> bytes:
        """Replace the text by *change* of it; return it."""
        self._text = change(self._text)
        return self._text


class NoNote:
    """No note: nobody would read it."""

    def read(self) -> bytes:
        """Return nothing."""
        return b""

    def change(self, change: Change) -> bytes:
        """Raise SettingError where there is something to write."""
        text = change(b"")
        if text:
            raise SettingError("bans_every is 0: no process would look into the store for bans")
        return text


class StoreNote:
    """A note in a store, which is safe for whoever shares it."""

    def __init__(self, store: Store, key: str) -> None:
        self._store = store
        self._key = key

    def read(self) -> bytes:
        """Return the text.  1 RT"""
        return self._store.get(self._key) or b""

    def change(self, change: Change) -> bytes:
        """Replace the text by *change* of it; return it.  2 RT"""
        return self._store.update(self._key, lambda text: (change(text or b""), LIVES_S), pinned=True) or b""


class FileNote:
    """A note in a file, which is replaced whole; for processes of one user on one machine."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._text = b""

    def read(self) -> bytes:
        """Return the text; the file is opened only if it has changed."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            self._seen, self._text = None, b""
            return b""
        except OSError as error:
            raise self._trouble(error) from None
        if (found.st_mtime_ns, found.st_ino) != self._seen:
            self._text = self._load()
            self._seen = found.st_mtime_ns, found.st_ino
        return self._text

    def change(self, change: Change) -> bytes:
        """Replace the text by *change* of it; return it."""
        draft = self._path.with_name(f"{self._path.name}.{os.getpid()}.{os.urandom(4).hex()}")
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            lock = os.open(self._path.with_name(f"{self._path.name}.lock"), flags, 0o600)
            try:
                self._check(lock)  # somebody else could hold it for ever
                flock(lock, LOCK_EX)
                text = change(self._load())
                fd = os.open(draft, flags | os.O_EXCL, 0o600)
                with os.fdopen(fd, "wb") as file:
                    file.write(text)
                draft.rename(self._path)
            finally:
                os.close(lock)
                with suppress(FileNotFoundError):
                    draft.unlink()
        except OSError as error:
            raise self._trouble(error) from None
        return text

    def _load(self) -> bytes:
        try:
            # A pipe that somebody else put there would be waited for: by every request of this process.
            fd = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise self._trouble(error) from None
        with os.fdopen(fd, "rb") as file:
            self._check(fd)  # who else could write bans into it
            return file.read(LARGEST_BYTES)

    def _check(self, fd: int) -> None:
        found = os.fstat(fd)
        if found.st_uid != os.geteuid():
            raise StoreDown(f"{self._path}: another user's")
        if not S_ISREG(found.st_mode):
            raise StoreDown(f"{self._path}: no file")

    def _trouble(self, error: OSError) -> StoreDown:
        return StoreDown(f"{self._path}: {error.strerror}")
