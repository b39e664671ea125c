"""What the control plane asks of the world outside it; the supervisor provides it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypedDict

__all__ = ["NodeCounts", "Ports", "ProcessCounts", "Stats"]


class NodeCounts(TypedDict):
    """A node's row of the scoreboard over all workers; times are epoch seconds, 0 for never."""

    handed: int
    attempts: int
    connects: int
    verifies: int
    requests: int
    failures: int
    in_flight: int
    open: int
    lastattempt: float
    lastconnect: float
    lastresponse: float
    responsecodes: Mapping[int, int]


class ProcessCounts(TypedDict):
    """What the balancer's processes used; times in seconds, over all of them."""

    pid: int
    utime: float
    stime: float
    reqs: int


class Ports(Protocol):
    """Listening sockets.

    While open(service, address) runs, `Control.role(service)` tells whether the port is for the
    workers ("reverse_proxy") or for the admin ("management").
    """

    def open(self, service: str, address: str) -> None:
        """Listen there for that service, or raise ListenError with the system's reason."""

    def close(self, service: str, address: str) -> None:
        """Stop listening there; what was accepted goes on."""


class Stats(Protocol):
    """The scoreboard."""

    def node(self, slot: int) -> NodeCounts:
        """Return a node's row."""

    def reset_node(self, slot: int) -> None:
        """Zero a node's counters, because its slot is given to another address."""

    def proc(self) -> ProcessCounts:
        """Return what the processes used since they started."""
