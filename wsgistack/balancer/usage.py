"""What a process uses, from /proc."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

__all__ = ["Usage", "read_usage"]

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Usage(NamedTuple):
    """Processor seconds since its start, and resident memory."""

    user_s: float = 0.0
    system_s: float = 0.0
    memory_bytes: int = 0


def read_usage(pid: int) -> Usage:
    """Return what a living process uses, zeros for one that is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return Usage()
    fields = text.rpartition(")")[2].split()  # proc(5): the name before may hold anything
    user, system, pages = (int(fields[at]) for at in (11, 12, 21))
    return Usage(user / TICKS_A_SECOND, system / TICKS_A_SECOND, pages * PAGE_BYTES)
