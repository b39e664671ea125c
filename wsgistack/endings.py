"""What is done at the end of a process, also of one that multiprocessing forked: that ends without atexit.

granian's workers are such.  multiprocessing forgets on the way into a child what was to be done at the end
of its parent, so who has something to do asks for it anew in each process, by `expect`.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable

__all__ = ["expect", "register"]

_acts: list[Callable[[], object]] = []
_expected_in = 0


def register(act: Callable[[], object]) -> None:
    """Call *act* at the end of this process, and of those that `expect` it; twice does no harm to it."""
    _acts.append(act)
    atexit.register(act)


def expect() -> None:
    """Have it all called at the end of this process.  Costs next to nothing from the second time on."""
    global _expected_in
    process = os.getpid()
    if _expected_in == process:
        return
    _expected_in = process
    forking = sys.modules.get("multiprocessing.process")
    if forking is not None and forking.parent_process() is not None:
        from multiprocessing import util  # which is there in a child: no request may import, see forks

        util.Finalize(None, _act, exitpriority=0)


def _act() -> None:
    for act in _acts:
        act()
