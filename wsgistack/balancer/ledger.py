"""What control may read and write of the limits' shared table and counters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from wsgistack.balancer.limit_states import NOTHING, Words
from wsgistack.balancer.metering import read_usage, this_hour
from wsgistack.balancer.outside import DecisionTimes, LimitCounts, TableUse
from wsgistack.balancer.past import Past
from wsgistack.balancer.shedding import LEVELS
from wsgistack.errors import CommandError
from wsgistack.ratelimit.rows import Usage
from wsgistack.ratelimit.statistics import BOUNDS_US

if TYPE_CHECKING:
    from wsgistack.balancer.plane.board import Board

__all__ = ["BoardLedger", "EmptyLedger", "no_counts"]

LOCKED = "the table of limits is locked by a process that is stopped: try again"


def no_counts() -> LimitCounts:
    """Return the row of a limit that nobody ever met."""
    levels = dict.fromkeys(LEVELS, 0)
    return LimitCounts(
        allowed=0,
        near=0,
        refused=0,
        banned=0,
        watched=0,
        trouble=0,
        unmetered=0,
        served=levels,
        shed=levels,
        decisions=DecisionTimes(within=[0] * (len(BOUNDS_US) + 1), ns=0),
    )


class BoardLedger:
    """The ledger of a balancer that runs; *past* is what was counted before it."""

    def __init__(self, board: Board, past: Past | None = None) -> None:
        assert board.limits is not None
        self._board = board
        self._past = past or Past()
        self._table = board.limits

    def now(self) -> int:
        """Return the time by which states are kept, in microseconds."""
        return self._table.now()

    def counts(self, slot: int) -> LimitCounts:
        """Return a limit's row of the scoreboard."""
        return self._past.add(slot, cast(LimitCounts, self._board.limit(slot)))

    def top(self, slot: int) -> Mapping[bytes, int]:
        """Return {key: refusals} of those whom a limit refuses most."""
        return self._board.top(slot)

    def heavy(self, slot: int) -> Mapping[bytes, int]:
        """Return {key: requests} of the heaviest of those who are not metered each by itself, by estimate."""
        return self._board.top(slot, heavy=True)

    def usage(self, folder: str, hours: int) -> list[Usage]:
        """Return what was metered in this hour and those before."""
        try:
            return read_usage(folder, since=this_hour() - hours + 1)
        except OSError as error:
            raise CommandError(f"usage_folder {folder}: {error.strerror}") from None

    def use(self) -> TableUse:
        """Return how full the table is."""
        return TableUse(self._table.keys, *self._table.count_used(self.now()))

    def reset(self, slot: int) -> None:
        """Zero a limit's counters."""
        self._board.reset_limit(slot)
        self._past.forget(slot)

    def get(self, key: bytes, step: int) -> Words:
        """Return the state of a key."""
        try:
            return self._table.get(key, step, self.now())
        except TimeoutError:
            raise CommandError(LOCKED) from None

    def put(self, key: bytes, step: int, words: Words) -> bool:
        """Set the state of a key; False if there is no room for it."""
        try:
            return self._table.put(key, step, self.now(), words)
        except TimeoutError:
            raise CommandError(LOCKED) from None

    def stamps(self, key: bytes, step: int, amount: int) -> tuple[int, ...]:
        """Return when each unit that an exact step counts for a key is free again, in order."""
        try:
            return self._board.limit_stamps(key, step, amount, self.now())
        except TimeoutError:
            raise CommandError(LOCKED) from None

    def held(self, key: bytes, step: int) -> int:
        """Return how many places of a concurrent step requests of a key hold now."""
        try:
            return self._board.limit_places(key, step, self.now())
        except TimeoutError:
            raise CommandError(LOCKED) from None

    def forget_stamps(self, key: bytes, step: int, amount: int) -> None:
        """Free all units that an exact step counts for a key."""
        try:
            self._board.forget_limit_stamps(key, step, amount, self.now())
        except TimeoutError:
            raise CommandError(LOCKED) from None

    def look_at_bans(self) -> None:
        """Let workers look at bans where no limit makes any."""
        self._table.look_at_bans()

    def credential(self, value: str) -> bytes:
        """Return the key under which a credential is counted."""
        return self._table.credential(value.encode("latin-1", "replace"))


class EmptyLedger:
    """The ledger of a control plane that only reads a file: nobody was ever counted."""

    def now(self) -> int:
        """Return 0: no time passes."""
        return 0

    def counts(self, slot: int) -> LimitCounts:
        """Return zeros."""
        return no_counts()

    def top(self, slot: int) -> Mapping[bytes, int]:
        """Return nobody."""
        return {}

    def heavy(self, slot: int) -> Mapping[bytes, int]:
        """Return nobody."""
        return {}

    def usage(self, folder: str, hours: int) -> list[Usage]:
        """Return nothing."""
        return []

    def use(self) -> TableUse:
        """Return that there is no table."""
        return TableUse()

    def reset(self, slot: int) -> None:
        """Reset nothing."""

    def get(self, key: bytes, step: int) -> Words:
        """Return no state."""
        return NOTHING

    def put(self, key: bytes, step: int, words: Words) -> bool:
        """Keep nothing."""
        return False

    def stamps(self, key: bytes, step: int, amount: int) -> tuple[int, ...]:
        """Return none."""
        return ()

    def held(self, key: bytes, step: int) -> int:
        """Return 0."""
        return 0

    def forget_stamps(self, key: bytes, step: int, amount: int) -> None:
        """Free nothing."""

    def look_at_bans(self) -> None:
        """Do nothing."""

    def credential(self, value: str) -> bytes:
        """Return the key of a credential; here any will do."""
        return b"h" + value.encode("latin-1", "replace")[:8].ljust(8)
