"""One memcached server as the ring sees it: its breaker, its journal, its counters, its connections' owners.

All state that several threads may touch is changed under `lock`, which is never held over I/O.
"""

from __future__ import annotations

import random
import time
from _thread import allocate_lock
from collections.abc import Callable, Iterable
from typing import Any

from wsgistack.store.memcached.addresses import Address
from wsgistack.store.memcached.calls import Call
from wsgistack.store.memcached.counters import Counters
from wsgistack.store.memcached.gauges import LEAST_PATIENCE_S
from wsgistack.store.memcached.health import Breaker
from wsgistack.store.memcached.journal import Journal
from wsgistack.store.memcached.replies import Answer
from wsgistack.store.memcached.wire import Patience

__all__ = ["FAILURES", "WRITES", "Leaving", "Node"]

# Why a call ended without an answer.
FAILURES = {
    "down": "the breaker was open; nothing was sent",
    "timeout": "no answer in time",
    "lost": "the connection broke",
    "refused": "no connection could be made",
    "garbage": "what came was no answer",
    "busy": "too much was waiting to be sent",
    "closed": "the ring was closed, or the process forked",
}
# A log that may or may not hold a record (append_many) is worth more than none: it stays.  So does a value
# that was to be replaced by what was made of it (swap): both are true, nothing is not.
WRITES = frozenset(
    [
        *("store", "store_many", "delete_many", "invalidate", "release"),
        *("arithmetic", "arithmetic_many", "count_many"),
    ]
)


class Leaving:
    """A connection that was given up while its server may still read commands from it.

    Until the server has closed it too, what was sent over it may take effect.
    """

    __slots__ = ("sock",)

    def __init__(self, sock: Any) -> None:
        self.sock = sock
        sock.setblocking(False)

    def __del__(self) -> None:
        self.sock.close()

    def has_ended(self) -> bool:
        """Return whether the server has closed it; does not block."""
        try:
            while self.sock.recv(65_536):
                pass
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True


class Node:
    """One server.  `may_read` and `may_write` are read by everybody without the lock.

    Writes that replace what is there reach a node that is returning, others do not: they build
    on what may be dirty.
    """

    __slots__ = (
        "_on_away",
        "address",
        "breaker",
        "counters",
        "is_classic",
        "journal",
        "leaving",
        "lock",
        "may_read",
        "may_write",
        "name",
        "patience",
        "pid",
        "reason",
        "returns",
        "settled",
        "weight",
    )

    def __init__(
        self,
        address: Address,
        *,
        limit_s: float,
        least_s: float = LEAST_PATIENCE_S,
        on_away: Callable[[Node], None],
    ) -> None:
        self.address = address
        self.name = address.name
        self.weight = address.weight
        self.lock = allocate_lock()
        self.breaker = Breaker(random.random)
        self.patience = Patience(limit_s, least_s)
        self.journal = Journal()
        self.counters = Counters()
        self.leaving: list[Leaving] = []
        self.may_read = True
        self.may_write = True
        self.reason = ""  # of the last outage
        self.returns = 0  # how often its keys ceased to be written to others in its stead
        # Keys that were removed from it since the ring changed last, and when, the last ones; see Cluster.
        self.settled: dict[bytes, float] = {}
        self.is_classic: bool | None = None  # None: nobody has asked yet
        self.pid: int | None = None
        self._on_away = on_away

    @property
    def state(self) -> str:
        """`up`, `returning` or `down`."""
        return "up" if self.may_read else "returning" if self.may_write else "down"

    def broke(self, failure: str, lost: Iterable[Call], leaving: Any = None) -> None:
        """Open the breaker because of *failure*; *lost*: the calls whose outcome nobody knows.

        *leaving*: the socket over which they went, if the server may still read from it.
        """
        with self.lock:
            for call in lost:
                self._note(call)
            if leaving is not None:
                self.leaving.append(Leaving(leaving))
            opened = self.breaker.failed(time.monotonic()) or self.may_write
            if opened:
                self.may_read = self.may_write = False
                self.reason = failure
                self.counters.outages += 1
        if failure == "timeout":
            self.counters.timeouts += 1
        else:
            self.counters.failures += 1
        if opened:
            self._on_away(self)

    def divert(self, keys: Iterable[bytes], copies_on: str | None = None) -> bool:
        """Note that a write of *keys* goes past this node, to *copies_on*; return whether it does.

        False: the node takes writes again meanwhile.
        """
        with self.lock:
            if self.may_write:
                return False
            keys = list(keys)
            self.journal.add(keys)
            if copies_on is not None:
                for key in keys:
                    self.journal.add_copy(key, copies_on)
            return True

    def passes(self, call: Call) -> bool:
        """Return whether *call* goes past this node because it is away; what a write would have changed is noted.

        False: the node takes calls, again or still.
        """
        if self.may_write:
            return False
        with self.lock:
            if self.may_write:
                return False
            self._note(call)
            return True

    def _note(self, call: Call) -> None:
        """Note what *call* would have changed, or may have; with the lock held."""
        if call.verb in WRITES:
            self.journal.add(call.keys)
        elif call.verb == "flush":
            self.journal.has_overflowed = True

    def meet(self, answer: Answer) -> None:
        """Note from the answer to `stats` which process it is; another one than before is empty."""
        pid = int(answer.get(b"pid", b"0")) if isinstance(answer, dict) else 0
        if self.pid is not None and pid != self.pid:
            self.counters.restarts += 1
            self.is_classic = None
        self.pid = pid

    def owe(self, keys: Iterable[bytes], *, everything: bool = False) -> None:
        """Note that *keys* must be removed from this node, whatever its state."""
        with self.lock:
            self.journal.add(keys)
            self.journal.has_overflowed |= everything

    def begin_return(self) -> tuple[list[tuple[bytes, str]], set[str]]:
        """Let writes reach the node, if none of its keys live elsewhere; else return these: see `take_copies`.

        Who is given some makes them dirty there, and asks again: nothing older than what is written
        here from now on may be believed there if this node goes away once more.
        """
        with self.lock:
            self.returns += 1
            copies, flooded = self.journal.take_copies()
            self.may_write = not copies and not flooded
            return copies, flooded

    def end_return(self) -> bool:
        """Use the node, if nothing dirty is left; return whether it is used."""
        with self.lock:
            if not self.may_write or not self.journal.is_clean:
                return False
            self.breaker.close(time.monotonic())
            self.may_read = True
            return True

    def away_again(self) -> None:
        """Go past the node again, after a return that failed."""
        with self.lock:
            self.may_read = self.may_write = False
