"""Counters by name that processes share: kept here, brought to a store about once a second.

A request costs a dictionary look-up or two, and no store.  A process that is not asked any more brings
the rest by an alarm.  What it counted since it last brought its counts is lost when it is killed; nothing
is ever counted twice.
"""

from __future__ import annotations

import logging
import math
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from typing import Any

from wsgistack import endings, forks
from wsgistack.accounts import Notes
from wsgistack.alarm import Alarm
from wsgistack.errors import StoreError
from wsgistack.store.base import Step, Store

__all__ = ["Tally"]

BRING_EVERY_S = 1.0
MOST_NAMES = 2000  # further ones are counted under OTHERS: a label must not grow without bound
OTHERS = "others"
SEPARATOR = b"\n"

log = logging.getLogger(__name__)


class Tally:
    """Counts by name.  *store*: where they are added up, None to keep them in this process.

    *notes*: are kept as they are, and counted later, together, as *digest* says.  *prefix*: of the store's
    keys.  Names have no newline.  *make_alarm*: what rings when nobody asks any more.
    Safe for threads and greenlets; a fork begins with nothing that is not brought yet, so that it is not
    counted twice.
    """

    def __init__(
        self,
        store: Store | None = None,
        *,
        digest: Callable[[list[Any]], Mapping[str, int]] = dict,
        prefix: str = "wsgistack:tally:",
        monotonic: Callable[[], float] = time.monotonic,
        make_alarm: Callable[[Callable[[], object]], Alarm] = Alarm,
    ) -> None:
        self._store = store
        self._prefix = prefix
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}  # not brought yet; everything, where there is no store
        self._listed: set[str] = set()  # names that the store's list has
        self._names: set[str] = set()
        self._failed = False
        self._digest = digest
        me = weakref.proxy(self)  # no cycle: who is forgotten brings nothing any more
        self.notes = Notes(lambda: me._settle(), monotonic)
        self.alarm = make_alarm(self.bring)
        self._due_at = math.inf  # when to bring again
        if store is not None:
            self._await(monotonic() + BRING_EVERY_S)
        _tallies.add(self)
        forks.register(self)

    def add(self, counts: Mapping[str, int]) -> None:
        """Add *counts*, each at least 0; brings what is due."""
        self._count(counts)
        self._bring_due()

    def _settle(self) -> None:
        self._count_notes()
        self._bring_due()

    def _await(self, due_at: float) -> None:
        """Bring again at *due_at*: the next one who counts sets the alarm, so that an idle process has none."""
        self._due_at = due_at
        self.notes.bring_at = -math.inf

    def _bring_due(self) -> None:
        if self._store is None:
            return
        now = self._monotonic()
        if now >= self._due_at:
            self.bring()
        elif self.notes.bring_at != self._due_at:
            # In this order: an alarm that rings meanwhile finds what we counted, and lets the next one set it.
            self.notes.bring_at = self._due_at
            endings.expect()
            self.alarm.set(self._due_at - now)

    def _count_notes(self) -> None:
        notes = self.notes.take()
        if notes:
            self._count(self._digest(notes))

    def share(self, store: Store) -> None:
        """Add counts up in *store* from now on, those that are kept here too; a second store is ignored."""
        with self._lock:
            if self._store is None:
                self._store = store
                self._await(self._monotonic())

    def _count(self, counts: Mapping[str, int]) -> None:
        with self._lock:
            for name, by in counts.items():
                if name not in self._names:
                    name = self._admit(name)
                self._counts[name] = self._counts.get(name, 0) + by

    def _admit(self, name: str) -> str:
        if len(self._names) >= MOST_NAMES:
            name = OTHERS
        self._names.add(name)
        return name

    def bring(self) -> None:
        """Bring what was counted to the store; what it does not take is kept for the next time."""
        if self._store is not None:
            self._await(self._monotonic() + BRING_EVERY_S)  # first: who counts from here on sets the alarm
        self._count_notes()
        if self._store is None:
            return
        with self._lock:
            counts, self._counts = self._counts, {}
        counts = {name: by for name, by in counts.items() if by}
        try:
            self._list(counts.keys() - self._listed)
            while counts:
                # One at a time: what was counted must not be brought again when the next one fails.
                name = next(iter(counts))
                self._store.incr_many([Step(self._prefix + name, counts[name], math.inf)], pinned=True)
                del counts[name]
            self._failed = False
        except StoreError as error:
            self._keep(counts)
            self.alarm.set(BRING_EVERY_S)
            if not self._failed:
                log.warning("counts stay in process %s: %s", self._prefix, error)
            self._failed = True

    def _keep(self, counts: Mapping[str, int]) -> None:
        with self._lock:
            for name, by in counts.items():
                self._counts[name] = self._counts.get(name, 0) + by

    def _list(self, names: set[str]) -> None:
        if not names:
            return
        assert self._store is not None

        def with_names(value: bytes | None) -> tuple[bytes, float]:
            known = set((value or b"").split(SEPARATOR)) | {name.encode() for name in names}
            return SEPARATOR.join(sorted(known - {b""})), math.inf

        self._store.update(self._prefix, with_names, pinned=True)
        self._listed |= names

    def read(self) -> dict[str, int]:
        """Return all counts, of other processes as far as they were brought.  StoreError: only our own."""
        self.bring()
        with self._lock:
            counts = dict(self._counts)
        if self._store is None:
            return counts
        try:
            names = (self._store.get(self._prefix) or b"").decode().split("\n")
            found = self._store.get_many([self._prefix + name for name in names if name])
        except StoreError:
            return counts
        for key, value in found.items():
            name = key.removeprefix(self._prefix)
            counts[name] = counts.get(name, 0) + int(value)
        return counts

    def forked(self) -> None:
        """Begin anew: what was counted so far is the parent's to bring."""
        self._lock = threading.Lock()
        self._counts = {}
        self.notes.take()
        if self._store is not None:
            self._await(self._due_at)


_tallies: weakref.WeakSet[Tally] = weakref.WeakSet()


def _bring_all() -> None:
    for tally in list(_tallies):
        tally.alarm.end()
        tally.bring()


endings.register(_bring_all)
