"""The file that holds our process number, for service managers and scripts."""

from __future__ import annotations

import os
from contextlib import suppress

from wsgistack.balancer.files import write_atomically
from wsgistack.files import read_regular

__all__ = ["Pidfile"]


class Pidfile:
    """Follows the setting; a successor writes its own number over ours, which we then leave alone."""

    def __init__(self) -> None:
        self._path = ""

    def put(self, path: str) -> None:
        """Write our number to *path*, "" for nowhere, and remove the file at the path before.

        Raises OSError, and what was there stays.
        """
        if path == self._path:
            return
        if path:
            write_atomically(path, f"{os.getpid()}\n")
        self.remove()
        self._path = path

    def remove(self) -> None:
        """Remove the file if it is still ours."""
        if not self._path:
            return
        with suppress(OSError):
            is_ours = read_regular(self._path, most_bytes=32).strip() == str(os.getpid()).encode()
            if is_ours:
                os.unlink(self._path)
