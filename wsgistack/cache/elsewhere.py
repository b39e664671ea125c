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
from wsgistack.errors import StoreDown, StoreError
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
        self._guard = store if isinstance(store, Guarded) else None
        # Marks are read where they lie: a guard takes more time than the look, a tier may have an old one.
        self._near = _near(store)
        self.is_lost = False  # the last mark that was asked for could not be read: nothing is kept then

    def tell(self, targets: Iterable[Target]) -> None:
        """Let all who make a page of these paths, with any query, know that it is of before the change."""
        if self._near is not None:
            mark = os.urandom(12)
            with suppress(StoreError):  # a store in trouble holds nothing
                self._store.set_many({_slot(target): mark for target in targets}, KEPT_S)

    def mark(self, target: Target) -> bytes | None:
        """Return the mark of a path as it is now; in trouble one that there is nowhere else."""
        if self._near is None:
            return None
        try:
            if self._guard is not None and self._guard.is_down:
                raise StoreDown("it is left alone for a while")
            found = self._near.gets(_slot(target))
        except Exception:  # noqa: BLE001 - a store may raise anything, and a guard would hide it
            self.is_lost = True
            return os.urandom(12)
        self.is_lost = False
        return None if found is None else found.value

    def has_changed(self, target: Target, mark: bytes | None) -> bool:
        """Tell whether somebody told of a change of that path since it had this *mark*."""
        return self._near is not None and self.mark(target) != mark


def _slot(target: Target) -> str:
    # Without the query: which queries mean the same, only the page will say.
    return f"c:{crc32(f'{target.host}{target.path}'.encode('utf-8', 'surrogatepass')) % SLOTS}"


def _near(store: Store) -> Store | None:
    """Return where the entries lie if other processes see them and no network lies between, else None."""
    while isinstance(store, Guarded | Tiered):
        store = store.store if isinstance(store, Guarded) else store.far
    return store if store.shared and not is_bounded(store) else None
