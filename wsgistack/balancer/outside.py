"""What the control plane asks of the world outside it; the supervisor provides it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol, TypedDict

from wsgistack.ratelimit.rows import Usage
from wsgistack.settings import Value

__all__ = [
    "DecisionTimes",
    "Files",
    "Ledger",
    "LimitCounts",
    "NodeCounts",
    "Outcomes",
    "Ports",
    "ProcessCounts",
    "Stats",
    "TableUse",
]


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


class Outcomes(NamedTuple):
    """How a node's requests ended, over all workers; what health.py judges traffic by.

    *good* and *bad* only grow.  Bad is what speaks against the node: it could not be reached, did
    not answer in time, broke off, or answered with one of the pool's `eject_statuses`; a fault of
    the client is neither.  *streak* is how many bad ones came in a row without a good one between
    them: the longest over the workers.  *latency_us* is the latest known decaying peak of the time from
    the request sent (or its last byte received, if that was later) to the first byte of a good
    response, at *measured_us* of the monotonic clock; *spent_us* is the total of these times, so
    that any window has its mean.  *held*: a worker met a hard failure, and no worker picks the node now.
    """

    good: int = 0
    bad: int = 0
    streak: int = 0
    latency_us: int = 0
    spent_us: int = 0
    measured_us: int = 0
    held: bool = False


class ProcessCounts(TypedDict):
    """What the balancer's processes used; times in seconds, over all of them."""

    pid: int
    utime: float
    stime: float
    reqs: int


class Ports(Protocol):
    """Listening sockets.

    While open(service, address) runs, `Control.service(service)` tells by its role whether the port
    is for the workers ("reverse_proxy") or for the admin ("management").
    """

    def open(self, service: str, address: str) -> None:
        """Listen there for that service, or raise ListenError with the system's reason."""

    def check(self, role: str | None, settings: Mapping[str, Value]) -> None:
        """Raise CommandError if a port of that role that is open would let nobody in with these settings."""

    def close(self, service: str, address: str) -> None:
        """Stop listening there; what was accepted goes on."""


class Stats(Protocol):
    """The scoreboard."""

    def node(self, slot: int) -> NodeCounts:
        """Return a node's row."""

    def buckets(self, slot: int) -> tuple[list[int], int]:
        """Return a service's requests by the counters of buckets, and how many of them strayed."""

    def learned(self, service: str, cookie: str, ttl_s: float) -> int:
        """Return sticky.number_of(the node that a service's cookie belongs to), 0 if none is known."""

    def outcomes(self, slots: Iterable[int]) -> list[Outcomes]:
        """Return how the nodes of these rows do; cheap enough to ask ten times a second."""

    def reset_node(self, slot: int) -> None:
        """Zero a node's counters, because its slot is given to another address."""

    def reset_service(self, slot: int) -> None:
        """Zero a service's counters, because its slot is given to another service."""

    def proc(self) -> ProcessCounts:
        """Return what the processes used since they started."""


class DecisionTimes(TypedDict):
    """How many decisions took at most each of statistics.BOUNDS_US and no less, then those above; and the sum."""

    within: Sequence[int]
    ns: int


class LimitCounts(TypedDict):
    """A limit's row of the scoreboard over all workers.

    *served* and *shed*: of those that passed and were refused, by level (shedding.LEVELS), where it sheds.
    *near* are those of *allowed* who had a fifth or less left.  *banned* are part of *refused*; *watched* would have been refused, were it no dry run; *trouble*
    passed uncounted, because a process that was stopped held a lock; *unmetered* have no row in a file.
    """

    allowed: int
    near: int
    refused: int
    banned: int
    watched: int
    trouble: int
    unmetered: int
    served: Mapping[str, int]
    shed: Mapping[str, int]
    decisions: DecisionTimes


class TableUse(NamedTuple):
    """How full the table of limits is: of its *keys* places *used*, and *shared* ones of those that found none."""

    keys: int = 0
    used: int = 0
    shared: int = 0


class Ledger(Protocol):
    """The table of limits that the workers share; *step* is limit.Step.id, states are Words.

    CommandError when a process that was stopped holds the lock.
    """

    def now(self) -> int:
        """Return the time by which states are kept, in microseconds that never go back."""

    def counts(self, slot: int) -> LimitCounts:
        """Return a limit's row of the scoreboard."""

    def top(self, slot: int) -> Mapping[bytes, int]:
        """Return {key: refusals} of those whom a limit refuses most."""

    def heavy(self, slot: int) -> Mapping[bytes, int]:
        """Return {key: requests} of the heaviest of those who are not metered each by itself, by estimate."""

    def usage(self, folder: str, hours: int) -> list[Usage]:
        """Return what was metered in this hour and those before; CommandError for a folder that cannot be read."""

    def use(self) -> TableUse:
        """Return how full the table is."""

    def reset(self, slot: int) -> None:
        """Zero a limit's counters, because its slot is given to another."""

    def get(self, key: bytes, step: int) -> tuple[int, int, int]:
        """Return the state of a key, zeros if there is none."""

    def put(self, key: bytes, step: int, words: tuple[int, int, int]) -> bool:
        """Set the state of a key; False if there is no room for it."""

    def stamps(self, key: bytes, step: int, amount: int) -> tuple[int, ...]:
        """Return when each unit that an exact step counts for a key is free again, in order."""

    def held(self, key: bytes, step: int) -> int:
        """Return how many places of a concurrent step requests of a key hold now."""

    def forget_stamps(self, key: bytes, step: int, amount: int) -> None:
        """Free all units that an exact step counts for a key."""

    def look_at_bans(self) -> None:
        """Let workers look at bans where no limit makes any."""

    def credential(self, value: str) -> bytes:
        """Return the key under which a credential is counted."""


class Files(Protocol):
    """Files that a command names."""

    def check_log(self, path: str) -> None:
        """Raise OSError with the system's reason if lines cannot be appended there; makes no file."""

    def check_folder(self, path: str) -> None:
        """Raise OSError with the system's reason if no files can be made there; makes the folder."""

    def read(self, path: str) -> str:
        """Return the text of a file, or raise OSError with the system's reason."""
