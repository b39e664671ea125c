"""Both ends of an upgrade: what we got from the balancer before us, and what we give to the next."""

from __future__ import annotations

import os
from typing import Any

import gevent

from wsgistack.balancer.channel import Message
from wsgistack.balancer.control import Control
from wsgistack.balancer.events import Log
from wsgistack.balancer.journal import Entry
from wsgistack.balancer.listeners import Listeners
from wsgistack.balancer.operations import Operations, Sizes
from wsgistack.balancer.past import Past, Pasts
from wsgistack.balancer.plane.board import Board
from wsgistack.balancer.upgrade import Inheritance, Successor, UpgradeError

__all__ = ["Succession"]

UPGRADE_TIMEOUT_S = 45.0  # for a successor: START_TIMEOUT_S of the supervisor, and its imports


class Succession:
    """*inheritance* is None for a balancer that was simply started.

    `is_under_way` from the start of a successor on, and for good once it took over: what is changed
    here from then on it would not know.
    """

    def __init__(self, inheritance: Inheritance | None, log: Log) -> None:
        self.is_under_way = False
        self._inheritance = inheritance
        self._log = log
        state = inheritance.state if inheritance else {}
        self._observed: Message = state.get("observed", {})
        self._before = self._attach(inheritance)
        counted = {int(slot): counts for slot, counts in state.get("counted", {}).items()}
        self.pasts = Pasts(nodes=Past(counted, self._read_node if self._before else None))
        self._named: Message = state.get("named", {})
        self._seats = [] if self._before is None else [self._before.seats]
        self.sticky_secret = bytes.fromhex(state.get("sticky_secret", ""))
        changes = state.get("changes")
        self.changes = None if changes is None else [Entry(*one) for one in changes]

    def _attach(self, inheritance: Inheritance | None) -> Board | None:
        if inheritance is None or inheritance.board is None:
            return None
        try:
            return Board.attach(inheritance.board)
        except ValueError as error:  # of another version
            self._log.warn("counters_forgotten", error=error)
            os.close(inheritance.board)
            return None

    def _read_node(self, slot: int) -> dict[str, Any]:
        assert self._before is not None
        outcomes = self._before.outcomes([slot])[0]
        return {**self._before.node(slot), "good": outcomes.good, "bad": outcomes.bad}

    def make_board(self, sizes: Sizes) -> Board:
        """Return a new scoreboard, with the table of limits that the balancer before uses, if there is one."""
        inherited = self._inheritance.limits if self._inheritance else None
        try:
            board = Board.create(sizes.workers, inherited, sizes.ready_bytes, sizes.limit_keys)
        except ValueError as error:  # of another version
            self._log.warn("limits_forgotten", error=error)
            board = Board.create(sizes.workers, None, sizes.ready_bytes, sizes.limit_keys)
        assert board.limits is not None
        if board.limits.keys < sizes.limit_keys:
            self._log.warn("limit_keys_kept", keys=board.limits.keys, until="it is started again")
        self._seats.append(board.seats)
        if self._before is not None:
            board.learn_from(self._before)
        return board

    def inherit(self, control: Control, listeners: Listeners) -> None:
        """Take over what was observed, and the sockets; before any command."""
        control.restore(self._observed)
        if self._inheritance:
            for address, inherited in self._inheritance.sockets.items():
                listeners.provide(address, inherited)

    def inherit_names(self, control: Control) -> None:
        """Let names lead where they led, and counters go on; after the commands of the file."""
        control.restore_names(self._observed)
        board, named = self._before, self._named
        self.pasts.services.follow(
            _services(control), named.get("services", {}), board.service if board else None
        )
        self.pasts.limits.follow(_limits(control), named.get("limits", {}), board.limit if board else None)

    def take_over(self, board: Board) -> None:
        """Tell the balancer before us that it can go, and keep what it counted when it is gone."""
        if self._inheritance:
            self._inheritance.take_over()
            gevent.spawn(self._bury, self._inheritance, board)

    def _bury(self, inheritance: Inheritance, board: Board) -> None:
        for _ in inheritance.channel:
            pass
        inheritance.channel.close()
        self.pasts.nodes.settle(range(Board.NODE_SLOTS))
        self.pasts.services.settle(range(Board.SERVICE_SLOTS))
        self.pasts.limits.settle(range(Board.LIMIT_SLOTS))
        if self._before:
            board.learn_from(self._before)  # what was learned while it drained
            self._before.close()
            self._before = None
        self._seats = self._seats[1:]
        self._free_seats(board)
        self._log.info("predecessor_ended")

    def _free_seats(self, board: Board) -> None:
        """Free what requests of balancers that are gone held of limits, unless one is on its way."""
        if board.limits is not None and not self.is_under_way:
            board.limits.keep_seats(self._seats)

    def hand_over(
        self, control: Control, listeners: Listeners, operations: Operations, *, board: Board
    ) -> str:
        """Start a successor and wait until it is ready; return what went wrong, "" if we can go now."""
        self.is_under_way = True
        problem = self._start(control, listeners, operations, board)
        if problem:
            self.is_under_way = False
            self._free_seats(board)
            self._log.error("upgrade_failed", error=problem)
        return problem

    def _start(self, control: Control, listeners: Listeners, operations: Operations, board: Board) -> str:
        try:
            successor = Successor()
        except OSError as error:
            return f"the program cannot be started: {error.strerror or error}"
        self._log.info("upgrading", pid=successor.pid)
        state = {
            "changes": [[entry.at, entry.peer, entry.line] for entry in operations.journal.pending],
            "sticky_secret": control.sticky_secret.hex(),
            "observed": control.export(),
            "counted": self.pasts.nodes.export(range(Board.NODE_SLOTS)),
            "named": {
                "services": self.pasts.services.export_named(_services(control)),
                "limits": self.pasts.limits.export_named(_limits(control)),
            },
        }
        assert board.limits is not None
        successor.give(listeners.all_sockets(), (board.fd, board.limits.fd), state)
        try:
            successor.wait(UPGRADE_TIMEOUT_S)
        except UpgradeError as error:
            successor.end()
            return str(error)
        successor.let_go()
        self._log.info("upgraded", pid=successor.pid)
        return ""


def _services(control: Control) -> dict[str, int]:
    return {name: service.slot for name, service in control.snapshot.services.items()}


def _limits(control: Control) -> dict[str, int]:
    return {name: limit.slot for name, limit in control.snapshot.limits.items()}
