"""Processes that end with the one that started them, however that one ends."""

from __future__ import annotations

import ctypes
import signal

__all__ = ["die_with_parent"]

PR_SET_PDEATHSIG = 1  # prctl(2)
_libc = ctypes.CDLL(None)


def die_with_parent() -> None:
    """In a new process (`preexec_fn`): be killed when the thread that started it ends."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
