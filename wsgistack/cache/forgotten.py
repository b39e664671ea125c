"""What this process has forgotten of a store: no page of before that is stored afterwards.

Over a store that is shared the store itself tells (tickets).  Over one of this process a page is looked
up here and written under one lock, so that nothing is forgotten in between: a thread that is preempted
there would bring back what a change has just removed.  Caches over one such store share this too.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterable
from contextlib import suppress

from wsgistack import forks
from wsgistack.store.base import Store
from wsgistack.store.guarded import Guarded

__all__ = ["MOST_FORGOTTEN", "Forgotten", "forgotten_of"]

MOST_FORGOTTEN = 10_000


class Forgotten:
    """By the key of a place, the moment at which it was forgotten; bounded, for any thread and greenlet.

    *lock*: held by who writes what `is_worthless` was asked of.
    """

    def __init__(self) -> None:
        self.moment = 0  # grows whenever something is forgotten
        self.lock = threading.RLock()  # reentrant: a finalizer may run in the middle of a write
        self._at: dict[str, int] = {}
        self._known_from = 0  # what was forgotten until then is known no more
        forks.register(self)

    def add(self, texts: Iterable[str]) -> None:
        """Take note of keys; what was asked for at any moment before is worthless."""
        with self.lock:
            self.moment += 1
            for text in texts:
                self._at.pop(text, None)
                self._at[text] = self.moment
            while len(self._at) > MOST_FORGOTTEN:
                first = next(iter(self._at))
                self._known_from = max(self._known_from, self._at.pop(first))

    def is_worthless(self, text: str, moment: int) -> bool:
        """Tell whether what was asked for at *moment* may be of before that key was forgotten."""
        return self._at.get(text, self._known_from) > moment

    def forked(self) -> None:
        """Make the lock anew: who held it stays in the parent."""
        self.lock = threading.RLock()


_of_stores: weakref.WeakKeyDictionary[Store, Forgotten] = weakref.WeakKeyDictionary()


def forgotten_of(store: Store) -> Forgotten:
    """Return what was forgotten of *store*, the same for every cache over one of this process."""
    while isinstance(store, Guarded):
        store = store.store
    if not store.shared:
        with suppress(TypeError):  # one of somebody else's may have no hash, or bear no weak reference
            return _of_stores.setdefault(store, Forgotten())
    return Forgotten()
