"""Whether the running code shares its thread with other greenlets.

gevent is imported when it is there already and runs: the process is patched, or the thread has a
hub.  A thread without a hub uses blocking sockets, whatever other threads do.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

__all__ = ["find", "find_hub"]


def find_hub() -> Any:
    """Return the hub that the running code shares with other greenlets, or None."""
    return find()


def _find_at_first() -> Any:
    """Look whether gevent is there yet; if so, let gevent's own function be asked from now on."""
    global find, peek
    if "gevent" not in sys.modules:
        return None
    from gevent import get_hub
    from gevent.hub import _get_hub  # it makes no hub, other than get_hub; gevent's own modules use it
    from gevent.monkey import is_module_patched

    def find_gevents() -> Any:
        hub = _get_hub()
        if hub is None and is_module_patched("socket") and _is_greenlets_thread():
            return get_hub()
        return hub

    find, peek = find_gevents, _get_hub
    return find()


find: Callable[[], Any] = _find_at_first  # `hubs.find()` saves a call where every operation asks
peek: Callable[[], Any] = lambda: None  # the hub that `find` has found in this thread, or None; quicker


def _is_greenlets_thread() -> bool:
    """Return whether a thread of a patched process is made for greenlets: gevent's own workers are not."""
    return threading.current_thread() is threading.main_thread()
