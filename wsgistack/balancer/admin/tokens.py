"""The keys of a port from its settings and token files."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping

from wsgistack.balancer.admin.access import Keys
from wsgistack.balancer.admin_settings import is_token, make_digest
from wsgistack.settings import Value

__all__ = ["TokenFileError", "find_keys", "read_token"]

LONGEST_FILE_BYTES = 4096


class TokenFileError(Exception):
    """A token file that cannot be trusted; str() says which and why."""


def find_keys(settings: Mapping[str, Value]) -> Keys:
    """Return what opens a port with these settings; the files are read now.

    Raises TokenFileError for a file that is missing, that others than its owner may read or
    change, or that holds no token.
    """
    kinds: dict[str, tuple[str, ...]] = {}
    for kind in ("admin", "readonly"):
        found = [str(settings[f"{kind}_token"])]
        if path := str(settings[f"{kind}_token_file"]):
            found.append(make_digest(read_token(path)))
        kinds[kind] = tuple(digest for digest in found if digest)
    return Keys(kinds["admin"], kinds["readonly"], readonly=bool(settings["readonly"]))


def read_token(path: str) -> str:
    """Return the first line of the file, without its end; raise TokenFileError if it cannot be trusted."""
    try:
        # Not blocking: the path may be a pipe.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise TokenFileError(f"token file {path}: {error.strerror}") from None
    try:
        _check_owner(path, os.fstat(descriptor))
        text = os.read(descriptor, LONGEST_FILE_BYTES).decode("latin-1")
    finally:
        os.close(descriptor)
    token = text.partition("\n")[0].strip()
    if not is_token(token):
        text = "its first line is not 16 to 128 printable characters without blanks, # and $"
        raise TokenFileError(f"token file {path}: {text}")
    return token


def _check_owner(path: str, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise TokenFileError(f"token file {path}: not a file")
    if status.st_uid not in (0, os.geteuid()):
        raise TokenFileError(f"token file {path}: it belongs to user {status.st_uid}, not to us or root")
    if status.st_mode & 0o077:
        mode = stat.S_IMODE(status.st_mode)
        raise TokenFileError(f"token file {path}: others may use it (mode {mode:04o}): chmod 600 {path}")
