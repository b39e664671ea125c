"""A file of shared memory that the worker processes of one server find by themselves.

Its name holds the parent of the workers (a server's master, with the moment that it began, since
process ids return) and what is kept in it, so nobody has to configure one.  It is made whole under
another name and then linked to its own.  It is private to its user (mode 0600).  Files of parents
that are gone are removed by the next one that is made.
"""

from __future__ import annotations

import mmap
import os
import re
import stat
from contextlib import suppress
from pathlib import Path

from wsgistack.errors import StoreDown

__all__ = ["FOLDER", "Segment", "open_segment", "workers_name"]

FOLDER = Path("/dev/shm")
NAME = re.compile(r"wsgistack-limits-([0-9]+)-([0-9]+)-[0-9a-f]+")
MAGIC = b"wsgistack limits 1\n"
HEAD_BYTES = 4096
SECRET_BYTES = 16


class Segment:
    """A mapped file: *fd*, *memory* (zero at first, without the head) and the *secret* of its users."""

    def __init__(self, fd: int, size: int) -> None:
        self.fd = fd
        head = os.pread(fd, len(MAGIC) + SECRET_BYTES, 0)
        if not head.startswith(MAGIC):
            raise StoreDown("shared memory of the limits: another program's file has its name")
        self.secret = head[len(MAGIC) :]
        self.memory = mmap.mmap(fd, size, offset=HEAD_BYTES)

    def __del__(self) -> None:
        os.close(self.fd)


def open_segment(size: int, code: str, *, folder: Path = FOLDER, parent: int | None = None) -> Segment:
    """Return the segment of *size* bytes for *code* (hexadecimal digits) of the children of *parent*.

    Raises StoreDown where there can be none.
    """
    path = folder / workers_name(code, parent)
    size = -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
    try:
        for _ in range(100):  # another process may make or remove it meanwhile
            with suppress(FileNotFoundError):
                return Segment(_attach(path, size), size)
            with suppress(FileExistsError):
                return Segment(_make(path, size), size)
    except OSError as error:
        raise StoreDown(f"shared memory of the limits: {path}: {error.strerror}") from None
    raise StoreDown(f"shared memory of the limits: {path}: others make and remove it all the time")


def workers_name(code: str, parent: int | None = None) -> str:
    """Return the name of what the children of *parent*, None for this process's, share as *code*."""
    parent = os.getppid() if parent is None else parent
    return f"wsgistack-limits-{parent}-{_began(parent)}-{code}"


def _attach(path: Path, size: int) -> int:
    fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    found = os.fstat(fd)
    is_ours = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077
    if not is_ours or found.st_size != HEAD_BYTES + size:
        os.close(fd)
        raise StoreDown(f"shared memory of the limits: {path} is not a file of this user alone")
    return fd


def _make(path: Path, size: int) -> int:
    """Make the file and give it its name; FileExistsError if another was quicker."""
    _remove_orphans(path.parent)
    draft = path.with_name(f"{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    fd = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(fd, 0, HEAD_BYTES + size)  # now, not as SIGBUS at some later write
        os.pwrite(fd, MAGIC + os.urandom(SECRET_BYTES), 0)
        os.link(draft, path)
    except OSError:
        os.close(fd)
        raise
    finally:
        draft.unlink()
    return fd


def _remove_orphans(folder: Path) -> None:
    for entry in folder.iterdir():
        found = NAME.match(entry.name)
        if found and _began(int(found[1])) != int(found[2]):
            with suppress(OSError):  # another user's
                entry.unlink()


def _began(process: int) -> int:
    """Return when a process began, in ticks since the machine did; 0 if it is gone.  proc(5)"""
    try:
        text = Path("/proc", str(process), "stat").read_text(errors="replace")
        return int(text.rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0
