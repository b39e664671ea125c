"""Waiting in a way that lets other greenlets run where there are some."""

from __future__ import annotations

import threading
import time
from typing import Any

from wsgistack.store.memcached.hubs import find_hub

__all__ = ["make_event", "pause"]


def pause(seconds: float) -> None:
    """Wait; where greenlets share the thread, let them run meanwhile."""
    if find_hub() is None:
        time.sleep(seconds)
    else:
        from gevent import sleep

        sleep(seconds)


def make_event() -> Any:
    """Return an event (`wait`, `set`) for code of this hub, or of no hub, to wait for without holding up others.

    Anybody may set it.
    """
    hub = find_hub()
    if hub is None:
        return threading.Event()
    from wsgistack.store.memcached.crowd import Crowd

    return Crowd(hub)
