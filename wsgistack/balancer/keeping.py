"""The keeper's place: the process of the page caches is there once a service has a cache.

It is supervised as workers are.  Nothing waits for it: without it workers go to the nodes.
"""

from __future__ import annotations

import itertools
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gevent
from gevent.event import AsyncResult, Event

from wsgistack.balancer.channel import Channel, Message
from wsgistack.balancer.events import Log
from wsgistack.balancer.language.replies import Error, Lines, Ok, Order, Reply
from wsgistack.balancer.processes import Process, Seat

if TYPE_CHECKING:
    from wsgistack.balancer.plane.board import Board

__all__ = ["Keeping", "choose_folder"]

ACK_TIMEOUT_S = 5.0
ORDER_TIMEOUT_S = 15.0  # a store may be slow
END_TIMEOUT_S = 2.0
LOOK_INTERVAL_S = 1.0
MOST_SILENT = 8  # looks in a row; a keeper says every second that it lives

Start = Callable[[], tuple[Process, Channel]]


def choose_folder() -> str:
    """Return the path of a directory for sockets between our processes; it is made when one is needed."""
    return os.path.join(tempfile.gettempdir(), f"wsgistack-{secrets.token_hex(8)}")


class Keeping:
    """Keeps a keeper from when a service first has a cache; *start* starts its process.

    *folder*: see Snapshot; removed in the end.
    """

    def __init__(self, board: Board, folder: str, log: Log, changed: Event, *, start: Start) -> None:
        self.seat: Seat | None = None
        self._board = board
        self._start = start
        self._folder = folder
        self._log = log
        self._changed = changed
        self._message: Message = {}
        self._greenlet: Any = None
        self._watch: Any = None
        self._numbers = itertools.count(1)
        self._orders: dict[int, AsyncResult[Message]] = {}
        self._ending = False
        self._has_folder = False
        self._silent_looks: int | None = None  # None until a keeper said something

    def prepare(self) -> None:
        """Make the folder, ours alone; raises OSError when somebody else did."""
        if not self._has_folder:
            os.mkdir(self._folder, mode=0o700)
            self._has_folder = True

    def publish(self, message: Message) -> None:
        """Let the keeper know what holds; start it if it is needed."""
        self._message = message
        needed = any(service["cache"] for service in message["snapshot"]["services"].values())
        if self.seat is not None:
            self.seat.post(message)
        elif needed and not self._ending:
            self.seat = Seat(
                0, start=self._start, duties=self, log=self._log, changed=self._changed, kind="keeper"
            )
            self._greenlet = gevent.spawn(self.seat.run)
            self._watch = gevent.spawn(self._look_on)

    def _look_on(self) -> None:
        while True:
            gevent.sleep(LOOK_INTERVAL_S)
            self.look()

    def look(self) -> None:
        """Kill a keeper that says nothing any more: it is stuck, but the kernel still accepts for it.

        Counted in looks, not in time: when the whole machine stood still nobody is to blame.
        """
        if self._silent_looks is None or self.seat is None or self._ending:
            return
        self._silent_looks += 1
        if self._silent_looks == MOST_SILENT:
            self._log.error("keeper_stuck", pid=self.seat.pid)
            self.seat.kill()

    def wait(self) -> str:
        """Wait until a living keeper does what was published last; return what went wrong with it."""
        deadline = time.monotonic() + ACK_TIMEOUT_S
        version = self._message["snapshot"]["version"] if self._message else -1
        while (seat := self.seat) is not None and seat.acknowledged < version:
            remaining = deadline - time.monotonic()
            if remaining <= 0 or seat.failures > 1 or self._ending:
                return ""  # workers do without it; the log has what it died of
            self._changed.clear()
            self._changed.wait(min(remaining, 0.2))
        return "" if seat is None else seat.complaint

    def perform(self, order: Order) -> Reply:
        """Let the keeper do it, and return what it says."""
        problem = self.wait()
        seat = self.seat
        if seat is None or seat.channel is None or seat.acknowledged < 0:
            return Error(problem or "the keeper of the page caches is not there; try again")
        number = next(self._numbers)
        answer = self._orders[number] = AsyncResult()
        seat.post(
            {
                "type": "order",
                "id": number,
                "caches": order.caches,
                "action": order.action,
                "argument": order.argument,
            }
        )
        try:
            done = answer.get(timeout=ORDER_TIMEOUT_S)
        except gevent.Timeout:
            return Error(f"the keeper of the page caches did not answer within {ORDER_TIMEOUT_S:g} s")
        finally:
            self._orders.pop(number, None)
        if "error" in done:
            return Error(done["error"])
        return Lines(tuple(done["lines"])) if order.reads else Ok()

    # What its seat asks: see processes.Duties.

    def welcome(self, seat: Seat) -> None:
        """Send a new keeper what holds."""
        seat.post(self._message)

    def hear(self, seat: Seat, message: Message) -> None:
        """Take what the keeper says."""
        self._silent_looks = 0
        match message["type"]:
            case "done":
                answer = self._orders.get(message["id"])
                if answer is not None:
                    answer.set(message)
            case "event":
                self._log.plane(message)

    def lost(self, seat: Seat) -> None:
        """Let nothing be answered out of what a keeper left, and nobody wait for it."""
        self._silent_looks = None
        if self._board.ready is not None:
            self._board.ready.clear()
        for answer in self._orders.values():
            answer.set({"error": "the keeper of the page caches died; try again"})

    # The end.

    def close(self) -> None:
        """Leave nothing behind; nobody sends it requests any more."""
        self._ending = True
        if self.seat is not None:
            self.seat.end()
            self.seat.post({"type": "end"})
            if self.seat.pid is not None:
                self._greenlet.join(timeout=END_TIMEOUT_S)
                self.seat.kill()
                self._greenlet.join(timeout=END_TIMEOUT_S)
            self._greenlet.kill()
            self._watch.kill()
        if self._has_folder:
            shutil.rmtree(self._folder, ignore_errors=True)
