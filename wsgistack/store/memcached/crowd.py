"""Many greenlets of one hub that wait for one thing: one timer for all, and one turn of the loop wakes all.

An event of gevent makes a timer for each who waits with a limit and wakes each by a callback of its
own, which is half of what fifty greenlets wait who ask for one value at once.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from gevent import getcurrent

from wsgistack.store.memcached.hubs import find_hub

__all__ = ["Crowd"]


class Crowd:
    """What greenlets of *hub* wait for, until somebody, in any thread, lets them all go on."""

    def __init__(self, hub: Any) -> None:
        self._hub = hub
        self._is_set = False
        self._waiting: dict[Any, float] = {}  # greenlet: when it waits no longer
        self._timer: Any = None
        self._tick_at = 0.0

    def wait(self, seconds: float) -> bool:
        """Wait in the running greenlet of the hub; return whether it was let go on in time."""
        if self._is_set or seconds <= 0:
            return self._is_set
        current, switch = getcurrent(), self._hub.switch
        due_at = time.monotonic() + seconds
        self._waiting[current] = due_at
        try:
            if self._timer is None or due_at < self._tick_at:
                self._watch(due_at, seconds)
            while current in self._waiting:
                switch()
        finally:
            self._waiting.pop(current, None)
            if not self._waiting:
                self._unwatch()
        return self._is_set

    def set(self) -> None:
        """Let all go on, and whoever comes."""
        self._is_set = True
        loop = self._hub.loop
        if not self._waiting or loop is None:  # None: the hub was destroyed, and nobody waits in it
            return
        if find_hub() is self._hub:
            loop.run_callback(self._let_go)
        else:
            loop.run_callback_threadsafe(self._let_go)

    def _let_go(self) -> None:
        """In the hub: wake all who wait, in their order."""
        waiting = self._waiting
        while waiting:
            self._wake(next(iter(waiting)))

    def _wake(self, greenlet: Any) -> None:
        del self._waiting[greenlet]
        try:
            greenlet.switch()
        except BaseException:  # noqa: BLE001 - of a raw greenlet: it must not stop the others
            self._hub.handle_error(self, *sys.exc_info())

    def _watch(self, due_at: float, seconds: float) -> None:
        """Look in *seconds* who waits no longer."""
        self._unwatch()
        self._tick_at = due_at
        self._timer = self._hub.loop.timer(seconds)
        self._timer.start(self._on_tick, update=True)

    def _unwatch(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and self._hub.loop is not None:
            timer.close()

    def _on_tick(self) -> None:
        now = time.monotonic()
        for greenlet in [greenlet for greenlet, due_at in self._waiting.items() if due_at <= now]:
            if greenlet in self._waiting:
                self._wake(greenlet)
        if self._waiting:
            due_at = min(self._waiting.values())
            self._watch(due_at, max(due_at - time.monotonic(), 0.0))
