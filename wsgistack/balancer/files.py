"""Files on disk: read with a limit, written so that a crash leaves the old one or the new one."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress

from wsgistack.files import read_regular

__all__ = ["Disk", "write_atomically"]

LONGEST_BYTES = 4 * 1024 * 1024  # a nodefile of 100,000 lines
PUBLIC_MODE = 0o644


class Disk:
    """Files as the control plane reads them."""

    def read(self, path: str) -> str:
        """Return the text of a regular file; OSError for what is missing, none, or beyond 4 MB."""
        data = read_regular(path, most_bytes=LONGEST_BYTES + 1)
        if len(data) > LONGEST_BYTES:
            raise OSError(errno.EFBIG, f"longer than {LONGEST_BYTES} bytes")
        return data.decode("utf-8", "replace")

    def check_log(self, path: str) -> None:
        """Raise OSError if lines cannot be appended to a log there; a file that is missing stays so."""
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY))
        except FileNotFoundError:
            folder = os.path.dirname(os.path.realpath(path))
            if not os.path.isdir(folder):
                raise
            if not os.access(folder, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path) from None

    def check_folder(self, path: str) -> None:
        """Raise OSError if no files can be made in that folder, which is made."""
        os.makedirs(path, mode=0o700, exist_ok=True)
        if not os.access(path, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)


def write_atomically(path: str, text: str) -> None:
    """Put *text* at *path*: whoever opens it gets all of the old or all of the new.

    Mode and owner of a file that is there are kept as far as the system lets us; a link is
    followed.  It is on disk when this returns; OSError, and the old file untouched, otherwise.
    """
    path = os.path.realpath(path)
    draft = f"{path}.{os.getpid()}.new"
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            _keep_owner(descriptor, path)
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        os.rename(draft, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(draft)
        raise
    _sync_folder(os.path.dirname(path))


def _keep_owner(descriptor: int, path: str) -> None:
    try:
        old = os.stat(path)
    except FileNotFoundError:
        os.fchmod(descriptor, PUBLIC_MODE & ~_umask())
        return
    with suppress(PermissionError):
        os.fchown(descriptor, old.st_uid, old.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(old.st_mode))


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _sync_folder(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)  # the rename itself
    finally:
        os.close(descriptor)
