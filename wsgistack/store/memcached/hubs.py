"""Whether the running code shares its thread with other greenlets.

gevent is imported when it is there already and runs: the process is patched, or the thread has a
hub.  A thread without a hub uses blocking sockets, whatever other threads do.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

__all__ = ["find_hub"]


def find_hub() -> Any:
    """Return the hub that the running code shares with other greenlets, or None."""
    if "gevent" not in sys.modules:
        return None
    return _find_gevents_hub()


def _no_hub() -> Any:
    """Stand in for gevent's function until gevent is there; see `find_hub`."""
    global _find_gevents_hub
    from gevent import get_hub
    from gevent.hub import _get_hub  # public by its use in gevent's own modules: it makes no hub
    from gevent.monkey import is_module_patched

    def find() -> Any:
        hub = _get_hub()
        if hub is None and is_module_patched("socket") and _is_greenlets_thread():
            return get_hub()
        return hub

    _find_gevents_hub = find
    return find()


_find_gevents_hub: Callable[[], Any] = _no_hub


def _is_greenlets_thread() -> bool:
    """Return whether a thread of a patched process is made for greenlets: gevent's own workers are not."""
    return threading.current_thread() is threading.main_thread()
