"""How many stories the simulations tell.

WSGISTACK_SEEDS=1000 tells the first thousand of every kind, WSGISTACK_SEEDS=200:400 two hundred of them.
"""

from __future__ import annotations

import os

__all__ = ["make_seeds"]


def make_seeds(usual: int) -> range:
    """Return the seeds of a test: *usual* of them where nobody asks for others."""
    asked = os.environ.get("WSGISTACK_SEEDS", str(usual))
    first, _, last = asked.rpartition(":")
    return range(int(first or 0), int(last))
