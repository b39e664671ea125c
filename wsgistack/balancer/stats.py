"""What control reads of the world: the scoreboard's rows and what the processes used."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from wsgistack.balancer.ledger import BoardLedger
from wsgistack.balancer.outside import LimitCounts, NodeCounts, Outcomes, ProcessCounts, TableUse
from wsgistack.balancer.past import Pasts
from wsgistack.balancer.picture import NodeRow, ServiceCounts
from wsgistack.balancer.sticky import number_of

if TYPE_CHECKING:
    from wsgistack.balancer.plane.board import Board

__all__ = ["BoardStats", "read_times"]

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


class BoardStats:
    """Stats over a Board; *pids* gives the workers that live now, *pasts* what was counted before it."""

    def __init__(self, board: Board, pids: Callable[[], Iterable[int]], pasts: Pasts | None = None) -> None:
        self._board = board
        self._pids = pids
        self._pasts = pasts or Pasts()

    def node(self, slot: int) -> NodeCounts:
        """Return a node's row."""
        return self._pasts.nodes.add(slot, cast(NodeCounts, self._board.node(slot)))

    def node_row(self, slot: int) -> NodeRow:
        """Return a node's row with how its requests ended."""
        outcomes = self._board.outcomes([slot])[0]
        told = {"good": outcomes.good, "bad": outcomes.bad}
        counts = self._pasts.nodes.add(slot, self._board.node(slot) | told)
        outcomes = outcomes._replace(**{key: counts.pop(key) for key in told})
        return cast(NodeRow, counts | {"outcomes": outcomes})

    def service(self, slot: int) -> ServiceCounts:
        """Return a service's row."""
        return self._pasts.services.add(slot, cast(ServiceCounts, self._board.service(slot)))

    def buckets(self, slot: int) -> tuple[list[int], int]:
        """Return a service's requests by the counters of buckets, and how many of them strayed."""
        counts = self.service(slot)
        return counts["buckets"], counts["strayed"]

    def limit(self, slot: int) -> LimitCounts:
        """Return a limit's row."""
        return self._pasts.limits.add(slot, cast(LimitCounts, self._board.limit(slot)))

    def limit_table(self) -> TableUse:
        """Return how full the table of limits is."""
        return BoardLedger(self._board).use()

    def learned(self, service: str, cookie: str, ttl_s: float) -> int:
        """Return the number of the node that a learned cookie belongs to, 0 if none is known."""
        return self._board.learned_node(number_of(service), cookie.encode("latin-1"), math.ceil(ttl_s))

    def outcomes(self, slots: Iterable[int]) -> list[Outcomes]:
        """Return how the nodes of these rows do."""
        return self._board.outcomes(slots)

    def reset_node(self, slot: int) -> None:
        """Zero a node's counters."""
        self._board.reset_node(slot)
        self._pasts.nodes.forget(slot)

    def reset_service(self, slot: int) -> None:
        """Zero a service's counters."""
        self._board.reset_service(slot)
        self._pasts.services.forget(slot)

    def proc(self) -> ProcessCounts:
        """Return what the supervisor and its workers used, those that died included."""
        own = os.times()
        times = [(own.user, own.system), (own.children_user, own.children_system)]
        times += [read_times(pid) for pid in self._pids()]
        return ProcessCounts(
            pid=os.getpid(),
            utime=sum(user for user, _ in times),
            stime=sum(system for _, system in times),
            reqs=self._board.totals()["requests"],
        )


def read_times(pid: int) -> tuple[float, float]:
    """Return (user, system) seconds of a living process, zeros for one that is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0.0, 0.0
    fields = text.rpartition(")")[2].split()  # proc(5): the name before may hold anything
    return int(fields[11]) / TICKS_A_SECOND, int(fields[12]) / TICKS_A_SECOND
