"""The supervisor's window: pictures of everything, taken when somebody asks."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import wsgistack
from wsgistack.balancer.control import Control
from wsgistack.balancer.picture import Picture, ProcessView
from wsgistack.balancer.processes import Seat
from wsgistack.balancer.publisher import Publisher
from wsgistack.balancer.state import describe
from wsgistack.balancer.stats import BoardStats
from wsgistack.balancer.usage import read_usage

__all__ = ["Window"]


class Window:
    """Looks at the control plane, the scoreboard and the processes; changes none of them."""

    def __init__(
        self,
        control: Control,
        stats: BoardStats,
        seats: Sequence[Seat],
        publisher: Publisher,
        find_keeper: Callable[[], Seat | None],
    ) -> None:
        self._control = control
        self._find_keeper = find_keeper
        self._stats = stats
        self._seats = seats
        self._publisher = publisher

    def picture(self, unready: str) -> Picture:
        """Return what is known now.  Asks no worker: the scoreboard tells it all."""
        control, snapshot = self._control, self._control.snapshot
        stats = self._stats
        return Picture(
            now=time.time(),
            started_at=control.started_at,
            version=wsgistack.__version__,
            snapshot=snapshot,
            nodes={address: stats.node_row(slot) for address, slot in control.rows().items()},
            services={name: stats.service(service.slot) for name, service in snapshot.services.items()},
            limit_table=stats.limit_table(),
            limits={name: stats.limit(limit.slot) for name, limit in snapshot.limits.items()},
            health={
                (pool.name, node.address): control.health(pool.name, node.address)
                for pool in snapshot.pools.values()
                for node in pool.nodes
            },
            processes=(_own_process(), *map(_process, self._seats), *self._keeper()),
            unready=unready,
        )

    def _keeper(self) -> list[ProcessView]:
        keeper = self._find_keeper()
        return [] if keeper is None else [replace(_process(keeper), number=None, kind="keeper")]

    def state(self, unready: str) -> dict[str, Any]:
        """Return the state page; asks the workers for their connections."""
        states, silent = self._publisher.collect("states")
        return describe(
            self.picture(unready),
            states=[row for rows in states for row in rows],
            silent={seat.number for seat in silent},
        )


def _own_process() -> ProcessView:
    user_s, system_s, memory_bytes = read_usage(os.getpid())
    return ProcessView(None, os.getpid(), "accepting", 1, 0, 0, user_s, system_s, memory_bytes, "supervisor")


def _process(seat: Seat) -> ProcessView:
    user_s, system_s, memory_bytes = read_usage(seat.pid) if seat.pid else (0.0, 0.0, 0)
    return ProcessView(
        number=seat.number,
        pid=seat.pid,
        state=seat.state,
        starts=seat.starts,
        deaths=seat.deaths,
        acknowledged=seat.acknowledged,
        user_s=user_s,
        system_s=system_s,
        memory_bytes=memory_bytes,
    )
