"""Files that settings name: opened so that nobody waits for what is none.

Whoever opens a named pipe waits until somebody writes into it, and a device may never end; a site
that reads its rules again while it runs would stand still with it.
"""

from __future__ import annotations

import errno
import os
import stat

__all__ = ["open_regular", "read_regular"]

Path = str | os.PathLike[str]


def open_regular(path: Path, flags: int = os.O_RDONLY, mode: int = 0o600) -> int:
    """Return a descriptor of a regular file; OSError for what is missing or none.

    *flags* and *mode* are those of os.open.  The caller closes it.
    """
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, mode)
    kind = os.fstat(descriptor).st_mode
    if stat.S_ISREG(kind):
        return descriptor
    os.close(descriptor)
    if stat.S_ISDIR(kind):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    raise OSError(errno.EINVAL, "not a regular file", os.fspath(path))


def read_regular(path: Path, *, most_bytes: int = -1) -> bytes:
    """Return a regular file, or its first *most_bytes*; OSError for what is missing or none."""
    with open(open_regular(path), "rb") as file:
        return file.read(most_bytes)
