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
    """Return an event that the running code can wait for without holding up others; anybody may set it."""
    if find_hub() is None:
        return threading.Event()
    from gevent.event import Event

    return Event()
