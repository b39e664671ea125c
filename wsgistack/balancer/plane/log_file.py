"""Where the access log is written: opened so that a write appends, and never waits."""

from __future__ import annotations

import os
import stat
from typing import Literal

__all__ = ["Kind", "open_for_lines"]

Kind = Literal["file", "stream", "socket"]

FLAGS = os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC
MODE = 0o640  # addresses of clients are nobody else's business


def open_for_lines(path: str) -> tuple[int, Kind]:
    """Return a descriptor of *path*, or of stdout for `-`, and what it is; OSError if it cannot be had.

    Stdout is opened anew where that is possible: whether a write waits is a property of the
    open file, and that is shared with whoever started us.
    """
    if path != "-":
        descriptor = os.open(path, FLAGS | os.O_CREAT | os.O_NOCTTY, MODE)
    else:
        try:
            descriptor = os.open("/proc/self/fd/1", FLAGS | os.O_NOCTTY)
        except OSError:  # a socket cannot be opened by name: send() has a flag for it
            descriptor = os.dup(1)
    return descriptor, _kind(descriptor)


def _kind(descriptor: int) -> Kind:
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return "file"
    return "socket" if stat.S_ISSOCK(mode) else "stream"
