"""`ShmStore`: the compiled arena as a store, in a file of /dev/shm or in memory that forks inherit.

The file is made whole under another name and then linked to its own, so nobody ever opens a half
made one, whoever dies.  It is private to its user (mode 0600); one of another user, or one that
others may read, is refused: /dev/shm is open to all users of the machine.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from wsgistack.errors import ArgumentError, ConfigurationError, StoreDown
from wsgistack.store.base import (
    Change,
    Counted,
    Found,
    Step,
    check_entry,
    check_step,
    check_token,
    check_ttl,
    update_by_cas,
)

try:
    from wsgistack.store.shm.arena import LEAST_BYTES, MOST_BYTES, Arena, format_file
except ImportError as missing:
    NOT_COMPILED = (
        "shm:// needs its compiled module, which is not here: where a C compiler is"
        " (on Debian: sudo apt-get install gcc python3-dev) install wsgistack again,"
        " `pip install --force-reinstall --no-deps PATH` with the path that it came from."
    )
    raise ConfigurationError(NOT_COMPILED) from missing

__all__ = ["ShmStore", "check_name"]

FOLDER = Path("/dev/shm")
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
WAIT_S = 0.25  # a lock is held for microseconds, unless its holder was stopped


def check_name(name: str) -> None:
    """Raise ConfigurationError for what is no name of a store."""
    if not NAME.fullmatch(name):
        raise ConfigurationError(f"name: {name!r} is not 1 to 64 letters, digits, '_', '-' and '.'")


class ShmStore:
    """A store of *size* bytes, shared by all who open the same *name*, or by the forks of this process if None.

    *wait_s*: after this long behind a stopped process a call raises StoreDown.  `arena` is for tests.
    """

    shared = True
    pins = True

    def __init__(self, name: str | None, size: int, *, wait_s: float = WAIT_S, folder: Path = FOLDER) -> None:
        if not isinstance(size, int) or not LEAST_BYTES <= size <= MOST_BYTES:
            raise ConfigurationError(
                f"size: {size!r} is not a number of bytes from {LEAST_BYTES} to {MOST_BYTES}"
            )
        if name is not None:
            check_name(name)
        fd = _make_anonymous(size) if name is None else _open(folder / f"wsgistack-{name}", size)
        try:
            self.arena = Arena(fd, wait_s)
        except ValueError as error:
            raise ConfigurationError(f"{folder / f'wsgistack-{name}'}: {error}") from None
        finally:
            os.close(fd)

    def get(self, key: str) -> bytes | None:
        found = self.arena.gets(_encode(key))
        return None if found is None else found[0]

    def gets(self, key: str) -> Found | None:
        found = self.arena.gets(_encode(key))
        return None if found is None else Found(*found)

    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        gets = self.arena.gets
        return {key: found[0] for key in keys if (found := gets(_encode(key))) is not None}

    def set(self, key: str, value: bytes, ttl_s: float, *, pinned: bool = False) -> None:
        check_entry(key, value, ttl_s)
        self.arena.write(_encode(key), value, ttl_s, pinned)

    def set_many(self, items: Mapping[str, bytes], ttl_s: float) -> None:
        for key, value in items.items():
            check_entry(key, value, ttl_s)
        for key, value in items.items():
            self.arena.write(_encode(key), value, ttl_s, False)

    def add(self, key: str, value: bytes, ttl_s: float, *, pinned: bool = False) -> bool:
        check_entry(key, value, ttl_s)
        return self.arena.write(_encode(key), value, ttl_s, pinned, add=True)

    def cas(self, key: str, value: bytes, ttl_s: float, token: int, *, pinned: bool = False) -> bool:
        check_entry(key, value, ttl_s)
        check_token(token)
        return self.arena.write(_encode(key), value, ttl_s, pinned, token=token)

    def touch(self, key: str, ttl_s: float) -> bool:
        check_ttl(ttl_s)
        return self.arena.touch(_encode(key), ttl_s)

    def incr(
        self,
        key: str,
        by: int,
        ttl_s: float,
        *,
        first: int | None = None,
        refresh: bool = False,
        pinned: bool = False,
    ) -> int:
        check_step(key, by, ttl_s, first)
        begin = max(by, 0) if first is None else first
        return self.arena.step(_encode(key), by, ttl_s, begin, refresh, pinned)[0]

    def incr_many(self, steps: Sequence[Step], *, pinned: bool = False) -> list[Counted]:
        for key, by, ttl_s, first, _ in steps:
            check_step(key, by, ttl_s, first)
        return [
            Counted(
                *self.arena.step(
                    _encode(key), by, ttl_s, max(by, 0) if first is None else first, refresh, pinned
                )
            )
            for key, by, ttl_s, first, refresh in steps
        ]

    def update(self, key: str, change: Change, *, pinned: bool = False) -> bytes | None:
        return update_by_cas(self, key, change, pinned=pinned)

    def delete(self, key: str) -> bool:
        return self.arena.delete(_encode(key))

    def delete_many(self, keys: Iterable[str]) -> int:
        return sum(self.delete(key) for key in keys)

    def clear(self) -> None:
        self.arena.clear()

    def stats(self) -> dict[str, int]:
        return self.arena.stats()

    def close(self) -> None:
        self.arena.close()


def _encode(key: str) -> bytes:
    try:
        return key.encode("utf-8", "surrogatepass")
    except AttributeError:
        raise ArgumentError(f"key: {key!r} is not a str") from None


def _make_anonymous(size: int) -> int:
    fd = os.memfd_create("wsgistack-store")
    return _fill(fd, size)


def _fill(fd: int, size: int) -> int:
    try:
        os.posix_fallocate(fd, 0, size)  # now, not as SIGBUS at some later write
        format_file(fd, size)
    except OSError as error:
        os.close(fd)
        raise StoreDown(f"shm:// of {size} bytes: {error.strerror}") from None
    return fd


def _open(path: Path, size: int) -> int:
    """Return a descriptor of the store at *path*, made now if there is none."""
    for _ in range(100):  # another process may make or remove it meanwhile
        with suppress(FileNotFoundError):
            return _attach(path, size)
        with suppress(FileExistsError):
            return _make(path, size)
    raise StoreDown(f"{path}: others make and remove it all the time")


def _attach(path: Path, size: int) -> int:
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except PermissionError:
        raise ConfigurationError(f"{path} belongs to another user; take another name") from None
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise ConfigurationError(f"{path}: {error.strerror}") from None
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        os.close(fd)
        raise ConfigurationError(f"{path} is not a file of this user alone (mode 0600); take another name")
    if found.st_size != size:
        os.close(fd)
        raise ConfigurationError(
            f"{path} has {found.st_size} bytes, not {size}: processes that share a store give it one size;"
            f" when none uses it, `rm {path}` lets the next one make it anew"
        )
    return fd


def _make(path: Path, size: int) -> int:
    """Make a store and give it its name; FileExistsError if another was quicker."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    fd = _fill(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600), size)
    try:
        os.link(draft, path)
    except OSError:
        os.close(fd)
        raise
    finally:
        draft.unlink()
    return fd
