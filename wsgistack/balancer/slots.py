"""Rows of the scoreboard, given to node addresses: one per address, whatever pools it is in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from wsgistack.balancer.outside import Stats
from wsgistack.errors import CommandError

__all__ = ["NODE_SLOTS", "Slots"]

NODE_SLOTS = 1024  # plane/board.pxd


class Slots:
    """Who has which row.

    An address that leaves its last pool keeps its row and its counters, as in Perlbal, until all
    rows are taken; then the one that has been out longest and has no request in flight gives
    its row away, and the row is reset first.
    """

    def __init__(self, stats: Stats, *, limit: int = NODE_SLOTS) -> None:
        self._stats = stats
        self._limit = limit
        self._rows: dict[str, int] = {}  # in the order in which the addresses were last taken

    def __getitem__(self, address: str) -> int:
        return self._rows[address]

    def rows(self) -> Mapping[str, int]:
        """Return {address: row} of everybody who has one."""
        return dict(self._rows)

    def restore(self, rows: Mapping[str, int]) -> None:
        """Give everybody the row that they had in the balancer before; as long as nobody has one."""
        self._rows = {address: row for address, row in rows.items() if 0 <= row < self._limit}

    def take(self, address: str, *, in_use: Callable[[], Collection[str]]) -> str | None:
        """Give *address* a row; return the address that lost its row for it, or None.

        *in_use()* gives the addresses that must keep theirs.  Raises CommandError when nobody else
        can give one.
        """
        if address in self._rows:
            self._rows[address] = self._rows.pop(address)
            return None
        if len(self._rows) < self._limit:
            self._rows[address] = len(self._rows)
            return None
        return self._take_over(address, in_use())

    def _take_over(self, address: str, in_use: Collection[str]) -> str:
        for loser, row in self._rows.items():
            if loser not in in_use and not self._stats.node(row)["in_flight"]:
                del self._rows[loser]
                self._stats.reset_node(row)
                self._rows[address] = row
                return loser
        raise CommandError(f"all {self._limit} places for node addresses are taken")
