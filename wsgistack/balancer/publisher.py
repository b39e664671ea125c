"""Snapshots down to the workers, acknowledgements up; and questions to all of them."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Sequence

from gevent.event import Event

from wsgistack.balancer.channel import Message
from wsgistack.balancer.keeping import Keeping
from wsgistack.balancer.language.replies import Lines, Row
from wsgistack.balancer.listeners import Changes, Listeners
from wsgistack.balancer.model import Snapshot
from wsgistack.balancer.processes import Seat

__all__ = ["Publisher"]

ACK_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 2.0

Render = Callable[[list[list[Row]]], Lines]


class Publisher:
    """Tells the workers and the keeper what holds.  `changed` is set whenever one of them said or did something."""

    def __init__(self, listeners: Listeners, keeping: Keeping, changed: Event) -> None:
        self.seats: Sequence[Seat] = ()
        self._keeping = keeping
        self._listeners = listeners
        self._changed = changed
        self._sent: Snapshot = Snapshot()
        self._questions = itertools.count(1)
        self._answers: dict[int, dict[int, list[Row]]] = {}

    @property
    def version(self) -> int:
        """The version that was sent last."""
        return self._sent.version

    def publish(self, snapshot: Snapshot) -> Changes | None:
        """Send what is new; return None if nothing is.  Does not wait: see `settle`.

        Per worker in this order: sockets to let go, so that what is queued there still belongs to
        a service that is on; sockets to take over, which wait for their service; the snapshot.
        """
        inner = snapshot.inner()
        if inner:
            self._keeping.prepare()
        self._listeners.keep_inner(inner)
        changes = self._listeners.take_changes()
        if snapshot.version == self._sent.version and not changes:
            return None
        self._sent = snapshot
        message = {"type": "snapshot", "snapshot": snapshot.as_wire()}
        self._keeping.publish(message)
        for seat in self.seats:
            for (service, address), held in changes.released.items():
                # Without copies of ours the sockets went to another service: their queues stay.
                release = {"type": "release", "service": service, "address": address}
                seat.post(release | {"kept": not held})
            self._hand_over(seat, changes.adopted)
            seat.post(message)
        return changes

    def welcome(self, seat: Seat) -> None:
        """Send a new worker everything."""
        self._hand_over(seat, self._listeners.of_worker(seat.number))
        seat.post({"type": "snapshot", "snapshot": self._sent.as_wire()})

    def _hand_over(self, seat: Seat, keys: Iterable[tuple[str, str]]) -> None:
        descriptors = self._listeners.of_worker(seat.number)
        for key in keys:
            service, address = key
            adopt = {"type": "adopt", "service": service, "address": address}
            for descriptor in descriptors[key]:
                seat.post(adopt | {"inner": self._listeners.is_inner(key)}, (descriptor,))

    def settle(self, changes: Changes) -> str:
        """Wait until every live worker and the keeper acknowledged; return what went wrong, "" if nothing did.

        Then close our copies of the sockets that were let go.
        """
        version = self._sent.version
        silent = self.wait_for(lambda seat: seat.acknowledged >= version, ACK_TIMEOUT_S)
        changes.close()
        complaints = [f"worker {seat.number}: {seat.complaint}" for seat in self.seats if seat.complaint]
        if silent:
            names = ", ".join(str(seat.number) for seat in silent)
            complaints.append(f"worker {names} did not acknowledge within {ACK_TIMEOUT_S:g} s")
        complaint = self._keeping.wait()
        if complaint:
            complaints.append(complaint)
        return "; ".join(complaints)

    def wait_for(self, is_done: Callable[[Seat], bool], timeout_s: float) -> list[Seat]:
        """Wait until *is_done* for every live worker; return those for which it is not by then."""
        deadline = time.monotonic() + timeout_s
        while True:
            self._changed.clear()
            left = [seat for seat in self.seats if seat.channel is not None and not is_done(seat)]
            remaining = deadline - time.monotonic()
            if not left or remaining <= 0:
                return left
            self._changed.wait(remaining)

    def ask(self, question: str, own: list[Row], render: Render) -> Lines:
        """Ask every live worker and return what its answers make; *own* are rows of the supervisor.

        A worker that does not answer in time is named in a line of its own.
        """
        answers, silent = self.collect(question)
        reply = render([*answers, own])
        missing = (f"# worker {s.number} did not answer within {ANSWER_TIMEOUT_S:g} s" for s in silent)
        return Lines((*reply.lines, *missing), reply.end)

    def collect(self, question: str) -> tuple[list[list[Row]], list[Seat]]:
        """Ask every live worker; return the answers by worker, and who did not answer in time."""
        number = next(self._questions)
        answers = self._answers[number] = {}
        try:
            for seat in self.seats:
                seat.post({"type": "ask", "id": number, "question": question})
            silent = self.wait_for(lambda seat: seat.number in answers, ANSWER_TIMEOUT_S)
        finally:
            del self._answers[number]
        return [rows for _, rows in sorted(answers.items())], silent

    def hear(self, seat: Seat, message: Message) -> None:
        """Take an answer."""
        answers = self._answers.get(message["id"])
        if answers is not None:
            answers[seat.number] = message["rows"]
