"""Purges: bans of pages, in the store that the pages are in, for all who share it.

Beside the ledger the store holds its number alone, which a look at a page asks for along with the
page (no further round trip); the ledger is read when that number is another one than is known.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable

from wsgistack import forks
from wsgistack.cache.bans import Ban, Ledger, read_ledger, write_ledger
from wsgistack.errors import StoreError
from wsgistack.store.base import Store

__all__ = ["Purges"]

LEDGER, SERIAL = "b:ledger", "b:serial"
NONE_KNOWN = Ledger(0, 0)


class Purges:
    """The ledger of one store, as this process knows it.  *now*: seconds since the epoch.

    *space*: tells caches apart that share a store.  For any thread and greenlet.
    """

    def __init__(self, store: Store, *, now: Callable[[], float], space: str = "") -> None:
        self._store = store
        self._now = now
        self._lock = threading.Lock()
        self.ledger_key = f"{LEDGER}:{space}"
        self.serial_key = f"{SERIAL}:{space}"
        self.ledger = NONE_KNOWN
        self.on_changes: list[Callable[[], None]] = []  # called when other purges count than before
        self._raw_serial = b""
        forks.register(self)

    def learn(self, raw_serial: bytes | None) -> Ledger:
        """Return the ledger that counts; *raw_serial* is what the store has under `serial_key`.

        No round trip when it is the number that is known already.
        """
        if raw_serial is not None and raw_serial == self._raw_serial:
            return self.ledger
        return self.read(raw_serial)

    def read(self, raw_serial: bytes | None = None) -> Ledger:
        """Return the ledger as the store has it, begun if it has none.  1 RT, 4 when something is lost.

        *raw_serial*: as in `learn`.  In trouble, what is known already: pages of a store in trouble
        are not found either.
        """
        try:
            stored = read_ledger(self._store.get(self.ledger_key))
            known = self.ledger
            if stored is None or stored.serial < known.serial:
                # Lost, or an older one came back: what is known here counts, and more than was stored.
                first = max(int(self._now() * 1_000_000_000), known.serial + 1)
                stored = self._write(lambda met: _not_below(known.serial, met, Ledger(first, first)))
            elif raw_serial != b"%d" % stored.serial:
                self._tell(stored)
        except StoreError:
            return self.ledger
        return self._take(stored)

    def add(self, bans: Iterable[Ban]) -> None:
        """Make *bans* count for everybody who shares the store, before this returns.

        ArgumentError for what cannot be meant, StoreError when the store did not take it: whether
        it counts is unknown then, and the caller should try again.  About 3 RT, whatever they are about.
        """
        made = [ban.check() for ban in bans]
        if self.ledger is NONE_KNOWN:
            self.read()
        at = self._now()
        first = int(at * 1_000_000_000)

        def change(met: Ledger | None) -> Ledger:
            known = self.ledger
            base = Ledger(first, first) if met is None else met
            return (base if base.serial >= known.serial else known).with_bans(made, at)

        self._take(self._write(change))

    def _write(self, change: Callable[[Ledger | None], Ledger]) -> Ledger:
        """Change the ledger by compare-and-swap, then let its number be known."""

        def swap(old: bytes | None) -> tuple[bytes, float]:
            return write_ledger(change(read_ledger(old))), math.inf

        written = read_ledger(self._store.update(self.ledger_key, swap, pinned=True))
        if written is None:
            raise StoreError("purge: the store holds something else than it was given")
        self._tell(written)
        return written

    def _tell(self, ledger: Ledger) -> None:
        self._store.set(self.serial_key, b"%d" % ledger.serial, math.inf, pinned=True)

    def forked(self) -> None:
        """Make the lock anew; a ledger whose number is not the known one is read again."""
        self._lock = threading.Lock()

    def _take(self, ledger: Ledger) -> Ledger:
        with self._lock:
            is_new = ledger.serial > self.ledger.serial
            if ledger.serial >= self.ledger.serial:
                self.ledger = ledger
                self._raw_serial = b"%d" % ledger.serial
            known = self.ledger
        for on_change in self.on_changes if is_new else ():
            on_change()
        return known


def _not_below(serial: int, met: Ledger | None, anew: Ledger) -> Ledger:
    """Return *met* unless it is lost or older than what was known: another process may have been quicker."""
    return anew if met is None or met.serial < serial else met
