"""Waiting in a way that lets other greenlets run where there are some."""

from __future__ import annotations

import time

from wsgistack.store.memcached.hubs import find_hub

__all__ = ["pause"]


def pause(seconds: float) -> None:
    """Wait; where greenlets share the thread, let them run meanwhile."""
    if find_hub() is None:
        time.sleep(seconds)
    else:
        from gevent import sleep

        sleep(seconds)
