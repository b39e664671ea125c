"""One at a time in this process: who asks for what is being looked up or made waits for that one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from wsgistack import forks
from wsgistack.store.memcached.hubs import find_hub
from wsgistack.store.memcached.pauses import make_event

__all__ = ["Flight", "Flights"]


class Flight:
    """One key on its way.

    `old` is what may be served meanwhile; `value` or `error` is what came of it; neither is set
    if its maker was interrupted.  Each is a value in a tuple, so that None can be one.
    """

    def __init__(self, tags: Iterable[str] = ()) -> None:
        self.tags = frozenset(tags)
        self.old: tuple[Any] | None = None
        self.value: tuple[Any] | None = None
        self.error: Exception | None = None
        self.is_over = False
        self._events: dict[Any, Any] = {}  # one for all who wait in a hub, and for those in none

    def wait(self, seconds: float) -> bool:
        """Wait until there is something to serve or it is over; return whether that came in time."""
        hub = find_hub()
        event = self._events.get(hub)
        if event is None:
            event = self._events.setdefault(hub, make_event())
        if self.is_over or self.old is not None:  # looked at behind the event, which is set behind these
            return True
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
        for event in list(self._events.values()):
            event.set()


class Flights:
    """The flights of one ring, by key."""

    def __init__(self) -> None:
        self._flights: dict[bytes, Flight] = {}
        forks.register(self)

    def __len__(self) -> int:
        return len(self._flights)

    def join(self, key: bytes, tags: Iterable[str] = ()) -> tuple[Flight, bool]:
        """Return the flight of *key*, and whether the caller leads it (and must `leave` it).

        *tags*: what the value will be made under, if the caller leads.
        """
        flight = self._flights.get(key)
        if flight is not None:
            return flight, False
        mine = Flight(tags)
        flight = self._flights.setdefault(key, mine)  # one step: the first of two threads leads
        return flight, flight is mine

    def leave(self, key: bytes, flight: Flight) -> None:
        """End a flight that the caller leads."""
        if self._flights.get(key) is flight:  # not in a child that forgot it
            del self._flights[key]
        flight.end()

    def part_tags(self, tags: Iterable[str]) -> None:
        """Let who comes from now on join no flight under one of *tags*: what it makes is outdated."""
        for key, flight in list(self._flights.items()):
            if not flight.tags.isdisjoint(tags) and self._flights.get(key) is flight:
                del self._flights[key]

    def part(self, key: bytes) -> None:
        """Let who comes from now on not join the flight of *key*: what it finds or makes was removed."""
        self._flights.pop(key, None)

    def forked(self) -> None:
        """Forget all: who leads them stays in the parent."""
        self._flights = {}
