"""What other processes changed while a page was being made here: such a page is not to be kept.

Who forgets a page leaves a mark of its path in the store first, and removes the page then.  Who makes
one reads that mark before the application is asked, and again when the page lies in the store: where it
is another one by now, the page goes.  So whatever the order, the later of the two removes it:

- the page was stored before the mark was read for the last time: the mark is seen, and the page goes;
- the mark came after that: the page lay there when it was to be removed.

There are SLOTS marks, whatever number of paths: two that share one cost a page that is made once more.
Nothing here is done in a store with a network, where each look would be one more round trip of a fill.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from zlib import crc32

from wsgistack.cache.keys import Target
from wsgistack.errors import StoreError
from wsgistack.store.base import Store, is_bounded
from wsgistack.store.guarded import Guarded
from wsgistack.store.tiered import Tiered

__all__ = ["SLOTS", "Elsewhere"]

SLOTS = 2048
KEPT_S = 30 * 86_400.0  # one that ends is another one, too: nothing is taken for unchanged by that


class Elsewhere:
    """The marks in *store*, which says for itself whether other processes see them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._is_kept = _is_near(store)

    def tell(self, targets: Iterable[Target]) -> None:
        """Let all who make a page of these paths, with any query, know that it is of before the change."""
        if self._is_kept:
            mark = os.urandom(12)
            with suppress(StoreError):  # a store in trouble holds nothing
                self._store.set_many({_slot(target): mark for target in targets}, KEPT_S)

    def mark(self, target: Target) -> bytes | None:
        """Return the mark of a path as it is now; in trouble one that there is nowhere else."""
        if not self._is_kept:
            return None
        try:
            found = self._store.gets(_slot(target))  # not what a tier nearby had a moment ago
        except StoreError:
            return os.urandom(12)
        if found is not None:
            return found.value
        return os.urandom(12) if self.is_lost else None

    @property
    def is_lost(self) -> bool:
        """True if the last mark that was asked for could not be read: nothing is kept then."""
        store = self._store
        return self._is_kept and isinstance(store, Guarded) and store.trouble("gets") is not None

    def has_changed(self, target: Target, mark: bytes | None) -> bool:
        """Tell whether somebody told of a change of that path since it had this *mark*."""
        return self._is_kept and self.mark(target) != mark


def _slot(target: Target) -> str:
    # Without the query: which queries mean the same, only the page will say.
    return f"c:{crc32(f'{target.host}{target.path}'.encode('utf-8', 'surrogatepass')) % SLOTS}"


def _is_near(store: Store) -> bool:
    """Tell whether other processes see the entries, and no network lies between."""
    while isinstance(store, Guarded | Tiered):
        store = store.store if isinstance(store, Guarded) else store.far
    return store.shared and not is_bounded(store)
