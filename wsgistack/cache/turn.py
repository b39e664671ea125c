"""What one fill owes to those who wait for it, in this process and in the fleet."""

from __future__ import annotations

from typing import Generic, TypeVar

from wsgistack.cache.coalesce import Coalescer, Flight
from wsgistack.cache.tickets import Ticket

__all__ = ["Turn"]

Head = TypeVar("Head")


class Turn(Generic[Head]):
    """What one fill owes to those who wait for it; settled once, whatever is said afterwards."""

    __slots__ = ("_coalescer", "_flight", "_is_open", "_key", "_lease")

    def __init__(
        self, coalescer: Coalescer[Head], key: str, flight: Flight[Head], *, lease: str = ""
    ) -> None:
        self._coalescer = coalescer
        self._key = key
        self._flight = flight
        self._lease = lease  # its name, "" for none
        self._is_open = True

    @property
    def is_followed(self) -> bool:
        """True if somebody waits for the rest."""
        return self._is_open and self._flight.followers > 0

    def asks(self, ticket: Ticket) -> None:
        """Take note that the application is asked now; *ticket*: for the page that may come of it."""
        if self._is_open:
            self._coalescer.asks(self._flight, ticket.signs, ticket.number)

    def share(self, head: Head) -> None:
        """Let the others have what comes; a second head is for none of them: they may have sent the first."""
        if self._is_open and self._flight.head is not None:
            self.refuse(remember=False)
        elif self._is_open:
            self._flight.share(head)

    def add(self, block: bytes) -> None:
        """Give a block to the others."""
        if self._is_open:
            self._flight.add(block)

    def go_on(self) -> None:
        """Take note that the client has taken what was added."""
        if self._is_open:
            self._flight.go_on()

    def stored(self) -> None:
        """Take note that the page lies in the store under its key, or something else that is not ours."""
        if self._lease == self._key:
            self._lease = ""  # it took its place

    def complete(self) -> None:
        """Say that all is there, and in the store."""
        if self._is_open:
            self._flight.complete()
        self.over()

    def refuse(self, *, remember: bool) -> None:
        """Let the others go alone, from now on if *remember*."""
        if not self._is_open:
            return
        if remember:
            self._coalescer.remember(self._key)
        self._flight.refuse()
        self._end(refused=remember)

    def over(self) -> None:
        """End it; the others look again if nothing else was said."""
        if self._is_open:
            self._end(refused=False)

    def _end(self, *, refused: bool) -> None:
        self._is_open = False
        if self._lease:
            self._coalescer.give_lease_back(self._lease, refused=refused)
        self._coalescer.leave(self._key, self._flight)
