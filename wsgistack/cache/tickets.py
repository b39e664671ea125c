"""What is known of a page's places before the application is asked: nothing of before a change is stored.

A store that processes share tells for each entry a token, which is another one after each write.  Who
makes a page has the tokens of the places where it may lie from before the application was asked, and
stores it by compare-and-swap with them.  Who forgets a page removes what lies there, a page as well as
the lease of one that is being made (coalesce): the token of before fits no more, so that the page of
before the change is at no time there for anybody.  Nishtala et al., Scaling Memcache at Facebook, NSDI
2013, §3.2.1.

Where the page of a URL varies, its variants lie under a list of names that has a number of its own: they
are stored under the number that was there before, and found as long as that list is.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import NamedTuple

from wsgistack.errors import StoreError
from wsgistack.store.base import Store, claim
from wsgistack.store.guarded import Guarded

__all__ = ["NO_HOLD", "Hold", "Ticket", "hold", "once", "swap"]

HELD, HELD_S = b"held", 30.0  # lies where nothing did, for the token: it is neither a page nor a lease


class Hold(NamedTuple):
    """What lay at a place: its *token*, or the *generation* of its list of names; neither: nothing is known.

    *raw*: the bytes, of which the same never lie there again once something else or nothing did.
    """

    token: int | None = None
    generation: int | None = None
    raw: bytes | None = None

    @property
    def sign(self) -> bytes | int | None:
        """What tells it from all that lies there after a change, also for who sees no token."""
        return self.raw if self.generation is None else self.generation


NO_HOLD = Hold()


class Ticket:
    """What `Shelf.put` is to know of the moment at which the application was asked.

    *number*: of what this process had forgotten till then.  *holds*: by the key of a place.  *is_lost*:
    a place proved to be another maker's, or of after a change.  For one request.
    """

    __slots__ = ("holds", "is_lost", "number")

    def __init__(self, number: int = 0) -> None:
        self.number = number
        self.holds: dict[str, Hold] = {}
        self.is_lost = False

    @property
    def signs(self) -> list[object]:
        """Return those of all that it holds, in the order of `Found.signs`."""
        return [there.sign for there in self.holds.values()]


def hold(store: Store, text: str, *, is_empty: bool) -> Hold:
    """Return what lies at a key now, something of ours where nothing did; NO_HOLD while the store is in trouble.

    *is_empty*: nothing did a moment ago.  1 RT, 2 where that is wrong.
    """
    with suppress(StoreError):
        for _ in range(2):
            if is_empty:
                raw = once(HELD)
                made = claim(store, text, raw, HELD_S)
                if made.is_new:
                    return NO_HOLD if made.token is None else Hold(made.token, raw=raw)
            found = store.gets(text)
            if found is not None:
                return Hold(found.token, raw=found.value)
            is_empty = True
    return NO_HOLD


def once(word: bytes) -> bytes:
    """Return *word* in a form that nobody ever stored."""
    return word + os.urandom(8)


def swap(store: Store, text: str, raw: bytes, ttl_s: float, token: int) -> bool:
    """Store *raw* if what lies at a key is still that of *token*; return whether it was.

    What could not be stored, be it too large or the store in trouble, leaves nothing there.
    """
    try:
        if store.cas(text, raw, ttl_s, token):
            return True
        if not isinstance(store, Guarded) or store.trouble("cas") is None:
            return False
    except StoreError:
        pass
    with suppress(StoreError):
        store.delete(text)
    return False
