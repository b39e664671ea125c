"""The worker processes and the keeper: started, heard, replaced when they die."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import gevent
from gevent.event import Event

from wsgistack.balancer.channel import Channel, ChannelError, Message
from wsgistack.balancer.events import Log
from wsgistack.balancer.picture import WorkerState

__all__ = ["Delays", "Duties", "Process", "Seat"]

FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 5.0
SETTLED_S = 5.0  # a worker that lived that long did not die of its start
REAP_STEP_S = 0.01
REAP_TIMEOUT_S = 2.0
MOST_BACKLOG = 1000  # messages; a worker that reads none of them is no worker


class Process(Protocol):
    """What a seat asks of a child: subprocess.Popen has it, starting.Forked too."""

    pid: int

    @property
    def returncode(self) -> int | None:
        """The exit status, minus a signal's number; None until `poll` saw it."""

    def poll(self) -> int | None:
        """Look whether it has ended, and return the exit status; None while it runs."""

    def kill(self) -> None:
        """Send SIGKILL."""


class Delays:
    """How long to wait before a replacement: 0 at first, then 0.1 s doubling up to 5 s."""

    def __init__(self) -> None:
        self.failures = 0  # deaths at the start, in a row

    def after(self, lived_s: float) -> float:
        """Return the seconds to wait after a worker that lived *lived_s*."""
        if lived_s >= SETTLED_S:
            self.failures = 0
        self.failures += 1
        if self.failures == 1:
            return 0.0
        return float(min(FIRST_DELAY_S * 2 ** min(self.failures - 2, 16), LONGEST_DELAY_S))


class Duties(Protocol):
    """What a seat asks of the supervisor."""

    def welcome(self, seat: Seat) -> None:
        """A process was started: send it the sockets and the snapshot."""

    def hear(self, seat: Seat, message: Message) -> None:
        """It said something; hello, acknowledgements and the like are the seat's own."""

    def lost(self, seat: Seat) -> None:
        """It ended, wanted or not."""


class Seat:
    """One process's place: the worker (or the keeper) that sits there now, and what it has acknowledged.

    *start()* starts a process and returns it with its channel; *kind* is what the log calls it.

    `acknowledged` is the version of the last snapshot that it applied, -1 for none; `complaint`
    what it had to say against that.  `starts` counts the processes, `deaths` those that ended
    unasked.  `changed` is set on every step and for the one who waits to clear.
    """

    def __init__(
        self,
        number: int,
        *,
        start: Callable[[], tuple[Process, Channel]],
        duties: Duties,
        log: Log,
        changed: Event,
        kind: str = "worker",
    ) -> None:
        self.number = number
        self.kind = kind
        self.acknowledged = -1
        self.complaint = ""
        self.draining = False
        self.starts = 0
        self.deaths = 0
        self.channel: Channel | None = None
        self._start_process = start
        self._duties = duties
        self._log = log
        self._changed = changed
        self._delays = Delays()
        self._process: Process | None = None
        self._ending = False

    @property
    def pid(self) -> int | None:
        """The living process, or None."""
        return self._process.pid if self._process else None

    @property
    def state(self) -> WorkerState:
        """What the process does: see picture.py."""
        if self._process is None:
            return "gone"
        if self.draining:
            return "draining"
        return "accepting" if self.acknowledged >= 0 else "starting"

    @property
    def failures(self) -> int:
        """How many processes in a row died at their start."""
        return self._delays.failures

    def run(self) -> None:
        """Keep a process on the seat until `end`; a greenlet of its own."""
        while not self._ending:
            started_at = time.monotonic()
            try:
                self._start()
                self._listen()
            except OSError as error:
                self._log.error(f"{self.kind}_not_started", **self._name, error=error)
            self._reap()
            lived_s = time.monotonic() - started_at
            self._duties.lost(self)
            self._changed.set()
            if not self._ending:
                gevent.sleep(self._delays.after(lived_s))

    @property
    def _name(self) -> dict[str, object]:
        return {"worker": self.number} if self.kind == "worker" else {}

    def post(self, message: Message, descriptors: tuple[int, ...] = ()) -> None:
        """Send it a message; a worker that reads nothing any more is killed."""
        if self.channel is None:
            return
        if self.channel.backlog >= MOST_BACKLOG:
            self._log.error(f"{self.kind}_stuck", **self._name, pid=self.pid)
            self.kill()
        else:
            self.channel.post(message, descriptors)

    def end(self) -> None:
        """Let the process go and start no other; it drains or is killed by somebody else."""
        self._ending = True

    def kill(self) -> None:
        """End the process with SIGKILL."""
        if self._process:
            with suppress(ProcessLookupError):
                self._process.kill()

    def _start(self) -> None:
        self.acknowledged = -1
        self.complaint = ""
        self.draining = False
        self._process, self.channel = self._start_process()
        self.starts += 1
        self._log.info(f"{self.kind}_started", **self._name, pid=self._process.pid)
        self._duties.welcome(self)

    def _listen(self) -> None:
        assert self.channel is not None
        try:
            for message in self.channel:
                self._take(message)
        except (ChannelError, KeyError) as error:
            self._log.error(f"{self.kind}_babbles", **self._name, error=repr(error))
            self.kill()

    def _take(self, message: Message) -> None:
        if message["type"] == "ack":
            self.acknowledged = message["version"]
            self.complaint = message.get("error", "")
        elif message["type"] == "draining":
            self.draining = True
        self._duties.hear(self, message)
        self._changed.set()

    def _reap(self) -> None:
        """Wait for the process, whose channel is closed; kill it if it stays."""
        channel, self.channel = self.channel, None
        if channel is not None:
            channel.close()
        process, self._process = self._process, None
        if process is None:
            return
        deadline = time.monotonic() + REAP_TIMEOUT_S
        while process.poll() is None:
            if time.monotonic() > deadline:
                process.kill()
            gevent.sleep(REAP_STEP_S)
        if not self._ending:
            self.deaths += 1
            status = process.returncode
            self._log.error(
                f"{self.kind}_died", **self._name, pid=process.pid, status=status, deaths=self.deaths
            )
