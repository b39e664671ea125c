"""What balancers before us counted: their scoreboard while they drain, numbers once they are gone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from wsgistack.balancer.outside import NodeCounts

if TYPE_CHECKING:
    from wsgistack.balancer.plane.board import Board

__all__ = ["Past"]

GAUGES = ("in_flight", "open")  # of those who live
LATEST = ("lastattempt", "lastconnect", "lastresponse")
SUMS = ("handed", "attempts", "connects", "verifies", "requests", "failures")

Counts = dict[str, Any]


class Past:
    """Counters by row of the scoreboard; a row means the same address as in ours.

    *counted* is what `export` returned, *board* that of the balancer before us.
    """

    def __init__(self, counted: Mapping[str, Counts] | None = None, board: Board | None = None) -> None:
        self._counted = {int(slot): _mended(counts) for slot, counts in (counted or {}).items()}
        self._board = board

    def add(self, slot: int, counts: NodeCounts) -> NodeCounts:
        """Return *counts* with what was counted before."""
        parts = [self._counted.get(slot), self._board.node(slot) if self._board else None]
        for part in parts:
            if part:
                counts = cast(NodeCounts, _sum(cast(Counts, counts), part))
        return counts

    def forget(self, slot: int) -> None:
        """Forget a row, because it is given to another address."""
        self._counted.pop(slot, None)
        if self._board:
            self._board.reset_node(slot)

    def settle(self, slots: int) -> None:
        """Keep the numbers of the balancer before us, which is gone, and let its board go."""
        if self._board is None:
            return
        for slot in range(slots):
            counts = self._board.node(slot)
            if counts["attempts"] or counts["handed"]:
                before = self._counted.get(slot, {})
                self._counted[slot] = _sum(before, counts) if before else dict(counts)
                self._counted[slot].update(dict.fromkeys(GAUGES, 0))
        self._board.close()
        self._board = None

    def export(self) -> dict[str, Counts]:
        """Return it as JSON, for the next one."""
        return {str(slot): counts for slot, counts in self._counted.items()}


def _sum(first: Mapping[str, Any], second: Mapping[str, Any]) -> Counts:
    total = dict(first)
    for key in (*SUMS, *GAUGES):
        total[key] = first.get(key, 0) + second.get(key, 0)
    for key in LATEST:
        total[key] = max(first.get(key, 0.0), second.get(key, 0.0))
    total["responsecodes"] = dict(
        sorted((Counter(first.get("responsecodes", {})) + Counter(second.get("responsecodes", {}))).items())
    )
    return total


def _mended(counts: Counts) -> Counts:
    """Return it with numbers for statuses: JSON knows no such keys."""
    codes = {int(code): count for code, count in counts.get("responsecodes", {}).items()}
    return counts | {"responsecodes": codes}
