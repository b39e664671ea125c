"""One at a time in this process: who asks for what is being looked up or made waits for that one."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any

from wsgistack.store.memcached.pauses import make_event

__all__ = ["Flight", "Flights"]


class Flight:
    """One key on its way.

    `old` is what may be served meanwhile; `value` or `error` is what came of it; neither is set
    if its maker was interrupted.  Each is a value in a tuple, so that None can be one.
    """

    def __init__(self) -> None:
        self.old: tuple[Any] | None = None
        self.value: tuple[Any] | None = None
        self.error: Exception | None = None
        self.is_over = False
        self._lock = threading.Lock()
        self._events: list[Any] = []

    def wait(self, seconds: float) -> bool:
        """Wait until there is something to serve or it is over; return whether that came in time."""
        event = make_event()
        with self._lock:
            if self.is_over or self.old is not None:
                return True
            self._events.append(event)
        return bool(event.wait(seconds))

    def offer(self, old: Any) -> None:
        """Let everybody have *old* meanwhile."""
        self.old = (old,)
        self._wake()

    def end(self) -> None:
        """Wake everybody."""
        self.is_over = True
        self._wake()

    def _wake(self) -> None:
        with self._lock:
            events, self._events = self._events, []
        for event in events:
            event.set()


class Flights:
    """The flights of one ring, by key."""

    def __init__(self) -> None:
        self._flights: dict[bytes, Flight] = {}
        self._lock = threading.Lock()
        _all.add(self)

    def __len__(self) -> int:
        return len(self._flights)

    def join(self, key: bytes) -> tuple[Flight, bool]:
        """Return the flight of *key*, and whether the caller leads it (and must `leave` it)."""
        with self._lock:
            flight = self._flights.get(key)
            if flight is not None:
                return flight, False
            flight = self._flights[key] = Flight()
            return flight, True

    def leave(self, key: bytes, flight: Flight) -> None:
        """End a flight that the caller leads."""
        with self._lock:
            if self._flights.get(key) is flight:
                del self._flights[key]
        flight.end()

    def forget(self) -> None:
        """In a forked child: who led stayed in the parent."""
        self._flights = {}
        self._lock = threading.Lock()


_all: weakref.WeakSet[Flights] = weakref.WeakSet()


def _after_fork() -> None:
    for flights in list(_all):
        flights.forget()


os.register_at_fork(after_in_child=_after_fork)
