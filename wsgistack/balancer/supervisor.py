"""The supervisor: owns the sockets, the control plane and the workers; carries no request itself.

`Supervisor.start` brings everything up or raises StartError; `run` returns the exit status.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import gevent
from gevent.event import Event

from wsgistack.balancer import configuration
from wsgistack.balancer.admin.desk import FrontDesk
from wsgistack.balancer.admin.port import AdminPorts
from wsgistack.balancer.channel import Message
from wsgistack.balancer.control import Control
from wsgistack.balancer.events import Log
from wsgistack.balancer.files import Disk
from wsgistack.balancer.journal_file import JournalError
from wsgistack.balancer.keeping import Keeping, choose_folder
from wsgistack.balancer.language.commands import COMMANDS
from wsgistack.balancer.language.replies import Ask, Error, Lines, Ok, Order, Reply, Shutdown, Task
from wsgistack.balancer.language.session import Session
from wsgistack.balancer.ledger import BoardLedger
from wsgistack.balancer.listeners import Listeners
from wsgistack.balancer.lookout import Lookout
from wsgistack.balancer.model import Fact, ProbeResult, Service
from wsgistack.balancer.operations import Operations, Sizes, Source
from wsgistack.balancer.pidfile import Pidfile
from wsgistack.balancer.probes import Probes
from wsgistack.balancer.processes import Seat
from wsgistack.balancer.publisher import Publisher
from wsgistack.balancer.signals import obey
from wsgistack.balancer.starting import Starter
from wsgistack.balancer.stats import BoardStats
from wsgistack.balancer.succession import Succession
from wsgistack.balancer.upgrade import Inheritance, UpgradeError, receive
from wsgistack.balancer.window import Window

if TYPE_CHECKING:
    from socket import socket

__all__ = ["StartError", "Supervisor", "serve"]

START_TIMEOUT_S = 30.0
MOST_START_FAILURES = 3  # of one worker, before any was ready
RESOLVE_PATIENCE_S = 2.0  # for host names, before `ready` is said
REAP_TIMEOUT_S = 5.0
SETTLE_INTERVAL_S = 1.0
SAMPLE_INTERVAL_S = 0.125
CALM_INTERVAL_S = 0.5  # while no request comes: waking up costs more than looking


class StartError(Exception):
    """It could not start; str() says why."""


class Supervisor:
    """One balancer.  *source* is its checked configuration, *inheritance* what the balancer before hands over."""

    def __init__(
        self, source: Source, sizes: Sizes, *, log: Log, inheritance: Inheritance | None = None
    ) -> None:
        workers = sizes.workers
        self._source = source
        self._log = log
        self._over = Event()
        self._changed = Event()
        self._checked = Event()  # a check changed something
        self._ending = False
        self._succession = Succession(inheritance, log)
        self._pidfile = Pidfile()
        self._board = self._succession.make_board(sizes)
        self._starter = Starter(self._board)
        if inheritance is None:  # else there is an event loop already: it came by a channel
            self._starter.fork_first(workers=workers, keeper=sizes.keeper)
        self._listeners = Listeners(workers, find=self._find_service, serve_admin=self._serve_admin)
        folder = choose_folder()
        self._keeping = Keeping(self._board, folder, log, self._changed, start=self._starter.keeper)
        self._publisher = Publisher(self._listeners, self._keeping, self._changed)
        start = self._starter.worker
        self._seats = [
            Seat(number, start=partial(start, number), duties=self, log=log, changed=self._changed)
            for number in range(workers)
        ]
        stats = BoardStats(self._board, self._pids, self._succession.pasts)
        self._control = Control(
            ports=self._listeners,
            stats=stats,
            files=Disk(),
            workers=workers,
            started_at=time.time(),
            sticky_secret=self._succession.sticky_secret or os.urandom(32),
            ledger=BoardLedger(self._board, self._succession.pasts.limits),
            folder=folder,
        )
        window = Window(self._control, stats, self._seats, self._publisher, lambda: self._keeping.seat)
        self._desk = FrontDesk(
            self._control, window, self._seats, perform=self.perform, is_ending=self._is_ending, log=log
        )
        self._admin = AdminPorts(self._desk, log)
        self._probes = Probes(self._control, self._absorb)
        self._lookout = Lookout(self._control, self._absorb, log)
        self._operations = Operations(source, self._control, self._listeners, log, workers=sizes.cores)
        self._greenlets: list[Any] = []

    # What the parts ask of each other.

    def _find_service(self, name: str) -> Service:
        return self._control.service(name)

    def _serve_admin(self, service: str, listening: socket) -> Callable[[], None]:
        return self._admin.serve(service, listening)

    def _is_ending(self) -> bool:
        return self._ending

    def _pids(self) -> list[int]:
        return [seat.pid for seat in self._seats if seat.pid is not None]

    # Start and end.

    def start(self) -> None:
        """Open the ports, start the workers, and return once every one of them accepts."""
        session = Session.of_file(os.environ)
        now = time.time()
        self._succession.inherit(self._control, self._listeners)
        refused = configuration.apply(
            self._source.text, self._source.name, control=self._control, session=session, now=now
        )
        if refused is not None:
            raise StartError(str(refused))
        try:
            self._operations.begin(self._succession.changes)
        except JournalError as error:
            raise StartError(str(error)) from None
        self._succession.inherit_names(self._control)
        self._publisher.publish(self._control.snapshot)
        complaint = self._keeping.wait()  # before anybody sends it requests
        if complaint:
            raise StartError(complaint)
        self._publisher.seats = self._seats
        self._greenlets = [gevent.spawn(seat.run) for seat in self._seats]
        keepers = (self._keep_log, self._watch, self._desk.feed_graphite)
        self._greenlets += [gevent.spawn(keep) for keep in keepers]
        self._probes.refresh()
        self._lookout.refresh()
        self._wait_until_ready()
        if self._ending:
            return
        self._listeners.drop_spare()
        problem = self._put_pidfile()
        if problem:
            raise StartError(problem)
        self._succession.take_over(self._board)
        self._log.info("ready", **self._listeners.addresses())

    def _put_pidfile(self) -> str:
        """Follow the setting; return what is wrong with it."""
        path = str(self._control.snapshot.server["pidfile"])
        try:
            self._pidfile.put(path)
        except OSError as error:
            return f"pidfile {path}: {error.strerror or error}"
        return ""

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not all(seat.acknowledged >= 0 for seat in self._seats):
            if self._ending:
                return
            self._changed.clear()
            self._changed.wait(0.5)
            if any(seat.failures >= MOST_START_FAILURES for seat in self._seats):
                raise StartError("the workers die at their start; what they said stands above")
            if time.monotonic() > deadline:
                raise StartError(f"not every worker accepts after {START_TIMEOUT_S:g} s")
        for seat in self._seats:
            if seat.complaint:
                raise StartError(seat.complaint)
        self._wait_for_names()

    def _wait_for_names(self) -> None:
        """Give host names a moment: until they are looked up they have no nodes."""
        deadline = time.monotonic() + RESOLVE_PATIENCE_S
        while time.monotonic() < deadline and not self._ending:
            known = [self._control.lookup(name) for name in self._control.hosts()]
            if all(one.answered_at is not None or one.detail for one in known):
                return
            gevent.sleep(0.02)

    def run(self) -> int:
        """Wait for the end, and return the exit status."""
        self._over.wait()
        return 0

    @property
    def drain_limit_s(self) -> float:
        """How long what runs may take to finish."""
        value = self._control.snapshot.server["drain_timeout"]
        assert isinstance(value, float)
        return value

    def stop(self, *, after_s: float | None, handed_over: bool = False) -> None:
        """End it: at once with None, else when what runs is done, or after *after_s* seconds.

        Returns at once.  A second call with None cuts the first one's patience short.  *handed_over*:
        somebody else has the ports, so there is nobody to be told first.
        """
        if after_s is None:
            self._ending = True
            for seat in self._seats:
                seat.end()
                seat.kill()
            self._over.set()
        elif not self._ending:
            self._ending = True
            self._log.info("draining", limit_s=after_s)
            delay_s = 0.0 if handed_over else cast(float, self._control.snapshot.server["drain_delay"])
            gevent.spawn(self._drain, after_s, delay_s)

    def _drain(self, limit_s: float, delay_s: float) -> None:
        if delay_s and self._over.wait(delay_s):  # until then /ready says no, and all goes on
            return
        self._listeners.stop_admin()
        self._listeners.leave()
        self._probes.stop()
        self._lookout.stop()
        for seat in self._seats:
            seat.end()
            seat.post({"type": "drain"})
        left = self._publisher.wait_for(lambda seat: False, limit_s)
        for seat in left:
            self._log.warn("drain_cut", worker=seat.number, pid=seat.pid, limit_s=limit_s)
            seat.kill()
        self._over.set()

    def close(self) -> None:
        """Let everything go; no process is left."""
        self.stop(after_s=None)
        gevent.joinall(self._greenlets[: len(self._seats)], timeout=REAP_TIMEOUT_S)
        gevent.killall(self._greenlets)
        self._keeping.close()
        self._starter.close()
        self._probes.stop()
        self._lookout.stop()
        self._listeners.close_all()
        self._admin.close()
        self._pidfile.remove()
        self._log.info("stopped")
        self._log.settle()

    def _keep_log(self) -> None:
        while True:
            gevent.sleep(SETTLE_INTERVAL_S)
            self._log.settle()

    # Commands and facts.

    def perform(self, line: str, session: Session) -> Reply:
        """Do one admin command; an OK means that every live worker acts on it."""
        if self._succession.is_under_way and not _is_harmless(line):
            return Error("a successor is taking over: connect again and ask it")
        context = replace(session)
        reply = self._control.run(line, session, time.time())
        if isinstance(reply, Task):
            upgrades = reply.what == "upgrade"
            reply = self._upgrade() if upgrades else self._operations.perform(reply, session)
        self._lookout.refresh()  # a name that has no nodes yet changes no snapshot
        problem = self._publish(wait=True) or self._put_pidfile()
        if isinstance(reply, Ok):
            problem = problem or self._operations.note(line, context)
        if isinstance(reply, Order):
            return self._keeping.perform(reply)
        if isinstance(reply, Ask):
            own = self._admin.rows(time.time()) if reply.question == "socks" else []
            return self._publisher.ask(reply.question, own, reply.answer)
        if isinstance(reply, Shutdown):
            self._log.info("shutdown", graceful=reply.graceful, limit_s=reply.after_s)
            limit_s = self.drain_limit_s if reply.after_s is None else reply.after_s
            self.stop(after_s=limit_s if reply.graceful else None)
        if isinstance(reply, Ok) and problem:
            return Error(problem)
        if isinstance(reply, Lines) and problem:
            return Lines(reply.lines, f"ERROR: {problem}")
        return reply

    def _upgrade(self) -> Reply:
        """Hand over to a successor; return OK once it is ready and we drain."""
        if self._ending:
            return Error("it ends already")
        self._share(True)
        problem = self._succession.hand_over(
            self._control, self._listeners, self._operations, board=self._board
        )
        if problem:
            self._share(False)
            return Error(f"{problem}; nothing was changed")
        self._listeners.give_away()
        self.stop(after_s=self.drain_limit_s, handed_over=True)
        return Ok()

    def _share(self, on: bool) -> None:
        """Tell the workers whether somebody else listens on their sockets too."""
        for seat in self._seats:
            seat.post({"type": "share", "on": on})

    def _absorb(self, fact: Fact) -> None:
        self._control.absorb(fact, time.time())
        # Checks are not published one by one, see _watch: a thousand nodes may fail in the same second.
        if not isinstance(fact, ProbeResult):
            self._lookout.refresh()
            self._publish(wait=False)
        elif not self._control.is_calm(time.time()):
            self._checked.set()

    def _watch(self) -> None:
        """Let control look at the traffic, and publish what follows from it and from the checks."""
        while not self._ending:
            is_calm = self._control.is_calm(time.time())
            if not is_calm or self._checked.wait(CALM_INTERVAL_S):
                gevent.sleep(SAMPLE_INTERVAL_S)
            self._checked.clear()
            self._control.sample(time.time())
            if self._board.limits is not None:
                self._board.limits.follow_clock()
            self._publish(wait=False)

    def _publish(self, *, wait: bool) -> str:
        """Send what changed; return what went wrong with it, if waited for."""
        snapshot = self._control.snapshot
        for news in self._control.take_news():
            (self._log.warn if news.level == "warn" else self._log.info)(news.event, **news.fields)
        changes = self._publisher.publish(snapshot)
        if changes is None:
            return ""
        if not self._ending:
            self._probes.refresh()
        return self._publisher.settle(changes) if wait else ""

    def reopen_logs(self) -> None:
        """Let every worker write its access log to the file that has that name now."""
        self._log.info("reopen", what="access_log")
        for seat in self._seats:
            seat.post({"type": "reopen"})

    # What the workers' seats ask: see processes.Duties.

    def welcome(self, seat: Seat) -> None:
        """Send a new worker what holds."""
        if self._ending:
            seat.post({"type": "drain"})
        else:
            self._publisher.welcome(seat)
            if self._succession.is_under_way:
                seat.post({"type": "share", "on": True})

    def hear(self, seat: Seat, message: Message) -> None:
        """Take what a worker says."""
        match message["type"]:
            case "answer":
                self._publisher.hear(seat, message)
            case "event":
                self._log.plane(message | {"worker": seat.number})
            case "draining":
                self._listeners.close_of_worker(seat.number)

    def lost(self, seat: Seat) -> None:
        """Clear what a dead worker left on the scoreboard."""
        self._board.forget_worker(seat.number)


def serve(source: Source, sizes: Sizes, *, log: Log) -> int:
    """Run a balancer until it is told to end; return the exit status, raise StartError."""
    try:
        inheritance = receive(os.environ)
    except UpgradeError as error:
        raise StartError(str(error)) from None
    supervisor = Supervisor(source, sizes, log=log, inheritance=inheritance)
    obey(supervisor, log)
    try:
        supervisor.start()
        return supervisor.run()
    finally:
        supervisor.close()


def _is_harmless(line: str) -> bool:
    """Tell whether a line changes nothing."""
    word = line.split(None, 1)[0].lower() if line.strip() else "help"
    return word not in COMMANDS or COMMANDS.get(word).reads
