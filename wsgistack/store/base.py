"""What a store is: bytes under text keys, each with a time to live.

The page cache, the rate limiter and applications use stores by this protocol alone, and
tests/contracts/test_stores.py runs one script over every store.  What holds for all of them:

- **Keys** are any text, also the empty one; two texts never share an entry, however long.
- **Values** are `bytes`, also empty; what a store gives back is what was given, whole, or nothing.
- **ttl_s** are seconds, above 0; `math.inf` keeps an entry until room is needed.  A store may
  round it up to whole seconds, never down.
- An entry may vanish at any time (no room, a restart, a node that is gone); only a store whose
  `pins` is True keeps *pinned* entries as long as it exists itself.
- Every method may be called by any thread, greenlet and process that shares the store.
- **Trouble**: ArgumentError for what can never be stored (its message says what was met), at the
  call and with nothing changed; another StoreError for what happened to the store.  `guarded`
  turns the latter into "nothing".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol, TypeGuard

from wsgistack.errors import ArgumentError, Contended

__all__ = [
    "LARGEST_COUNT",
    "MOST_TRIES",
    "Addition",
    "Appending",
    "AppendingStore",
    "Bounded",
    "BoundedStore",
    "Change",
    "Claim",
    "ClaimingStore",
    "Counted",
    "Found",
    "Step",
    "Store",
    "check_entry",
    "check_step",
    "check_token",
    "check_ttl",
    "claim",
    "is_appending",
    "is_bounded",
    "is_claiming",
    "is_store",
    "refuse_store",
    "update_by_cas",
]

LARGEST_COUNT = 2**63 - 1
NUMBERS = (int, float)
ENDLESS_S = float(2**63)  # seconds, of which no clock knows; only math.inf is more
MOST_TRIES = 1000  # of update: each lost one is somebody else's progress

# From the value now (None: nothing) to the value and ttl_s to store, or None to leave it as it is.
Change = Callable[[bytes | None], tuple[bytes, float] | None]


class Found(NamedTuple):
    """A value and the token that `cas` takes; tokens of one key never repeat while the key lives."""

    value: bytes
    token: int


class Counted(NamedTuple):
    """What a counter is after a Step, and the token that `cas` takes."""

    total: int
    token: int


class Step(NamedTuple):
    """One increment of `incr_many`; the meaning of the fields is that of `incr`."""

    key: str
    by: int
    ttl_s: float
    first: int | None = None
    refresh: bool = False


class Store(Protocol):
    """Bytes under text keys.  Costs are round trips of a store that has a network (RT); others have none."""

    @property
    def shared(self) -> bool:
        """True if other processes see the same entries."""
        ...

    @property
    def pins(self) -> bool:
        """True if *pinned* entries are never given up for room; False: the word is taken as a wish."""
        ...

    def get(self, key: str) -> bytes | None:
        """Return the value, or None if there is none.  1 RT."""
        ...

    def gets(self, key: str) -> Found | None:
        """Return the value with its token, or None if there is none.  1 RT."""
        ...

    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        """Return {key: value} of those that are there.  1 RT over all nodes together."""
        ...

    def set(self, key: str, value: bytes, ttl_s: float, *, pinned: bool = False) -> None:
        """Store *value*, whatever was there.  1 RT.

        *pinned*: give up any other entry before this one.  StoreFull when only pinned ones are left.
        When it raises, the key holds nothing rather than what was there before.
        """
        ...

    def set_many(self, items: Mapping[str, bytes], ttl_s: float) -> None:
        """Store all *items*; each is whole or absent, together they are not atomic.  1 RT."""
        ...

    def add(self, key: str, value: bytes, ttl_s: float, *, pinned: bool = False) -> bool:
        """Store *value* if nothing is there; return whether it was stored.  Atomic.  1 RT."""
        ...

    def cas(self, key: str, value: bytes, ttl_s: float, token: int, *, pinned: bool = False) -> bool:
        """Store *value* if the entry is still the one of *token*; return whether it was.  Atomic.  1 RT.

        False also when the entry is gone.  A pinned entry stays pinned.
        """
        ...

    def touch(self, key: str, ttl_s: float) -> bool:
        """Give an entry *ttl_s* from now on; return whether it is there.  1 RT."""
        ...

    def incr(
        self,
        key: str,
        by: int,
        ttl_s: float,
        *,
        first: int | None = None,
        refresh: bool = False,
        pinned: bool = False,
    ) -> int:
        """Add *by* and return the new count.  Atomic.  1 RT.

        A key that is not there becomes *first* (None: *by*, or 0 if that is negative) and lives
        *ttl_s*; one that is there keeps its time unless *refresh*.  A count is 0 to
        LARGEST_COUNT: below, it stops at 0; a sum above is refused with CounterError where the
        store can see it, and wraps at 2**64 in memcached.  A counter reads as its decimal
        digits; CounterError for a value that is not 1 to 19 digits.
        """
        ...

    def incr_many(self, steps: Sequence[Step], *, pinned: bool = False) -> list[Counted]:
        """Take all *steps*, each atomic, and return what came of them, in order.  1 RT."""
        ...

    def update(self, key: str, change: Change, *, pinned: bool = False) -> bytes | None:
        """Replace the value by *change* of it, atomically; return what the key holds afterwards.

        *change* is called again when somebody else was quicker: it has no effect of its own,
        and does not block.  2 RT, 2 more for each lost race; Contended after MOST_TRIES.
        When it raises, the key holds what was there before or what should be there now.
        """
        ...

    def delete(self, key: str) -> bool:
        """Remove an entry; return whether it was there.  1 RT."""
        ...

    def delete_many(self, keys: Iterable[str]) -> int:
        """Remove entries; return how many were there.  1 RT over all nodes together."""
        ...

    def clear(self) -> None:
        """Remove everything, pinned entries included."""
        ...

    def stats(self) -> dict[str, int]:
        """Return counters by name: at least `items`, `bytes`, `hits`, `misses`, `evictions`."""
        ...

    def close(self) -> None:
        """Give back what this object holds of the system; nothing may use it afterwards."""
        ...


class Addition(NamedTuple):
    """One record of `append_many`: it goes behind what *key* holds, which begins empty.

    The entry lives *ttl_s* from now on.  *instead*: (token, value) that takes the place of what is
    there first, if that is still the one of the token.
    """

    key: str
    record: bytes
    ttl_s: float
    instead: tuple[int, bytes] | None = None


class Appending(Protocol):
    """A store that can append, which one with a network offers: one round trip, whoever else writes."""

    def append_many(self, additions: Sequence[Addition]) -> list[Found]:
        """Append each record, atomically; return what its key holds afterwards, in order.  1 RT.

        Others may have appended behind it by then.  Values are plain bytes, not what `set` stores.
        """
        ...


class AppendingStore(Store, Appending, Protocol):
    """A store that can append."""


class Bounded(Protocol):
    """A store that gives up waiting when its caller wants it to, which one with a network offers."""

    def within(self, seconds: float) -> AbstractContextManager[object]:
        """Return a block in which all calls together end after *seconds*, with StoreDown.

        What was sent may still take effect; the answer that comes later is given to nobody.
        """
        ...


class BoundedStore(Store, Bounded, Protocol):
    """A store that gives up waiting."""


class Claim(NamedTuple):
    """Whether an entry is new, and its token: None where it is not, or where nobody knows it."""

    is_new: bool
    token: int | None = None


class Claiming(Protocol):
    """A store that can add and tell the token, which spares one with a network a round trip."""

    def claim(self, key: str, value: bytes, ttl_s: float) -> Claim:
        """Do what `Store.add` does, and return the token of what was stored.  Atomic.  1 RT."""
        ...


class ClaimingStore(Store, Claiming, Protocol):
    """A store that can add and tell the token."""


OF_STORE = tuple(name for name in vars(Store) if not name.startswith("_"))


def is_store(one: object) -> TypeGuard[Store]:
    """Return whether *one* has all that a store has, or makes it when it is asked for it.

    isinstance with a protocol sees since Python 3.12 only what is written down: it would refuse an object that
    stands before a store and hands every call on by `__getattr__`.
    """
    return all(hasattr(one, name) for name in OF_STORE)


def refuse_store(met: object) -> str:
    """Return the complaint about *met*, which is given as a store and is none: what it lacks, if it is like one."""
    lacks = [name for name in sorted(OF_STORE) if not hasattr(met, name)]
    told = f"; of what a store has it lacks {', '.join(lacks)}" if len(lacks) < len(OF_STORE) else ""
    return f"store: {met!r:.80} is neither a store nor the URL of one{told}"


def is_appending(one: Store) -> TypeGuard[AppendingStore]:
    """Return whether that store can append."""
    return hasattr(one, "append_many")


def is_bounded(one: Store) -> TypeGuard[BoundedStore]:
    """Return whether that store can give up waiting."""
    return hasattr(one, "within")


class Swapping(Protocol):
    """The part of a store by which `update_by_cas` changes it."""

    def gets(self, key: str) -> Found | None: ...

    def add(self, key: str, value: bytes, ttl_s: float, *, pinned: bool = False) -> bool: ...

    def cas(self, key: str, value: bytes, ttl_s: float, token: int, *, pinned: bool = False) -> bool: ...


def is_claiming(one: Store) -> TypeGuard[ClaimingStore]:
    """Return whether that store can add and tell the token."""
    return hasattr(one, "claim")


def claim(store: Store, key: str, value: bytes, ttl_s: float) -> Claim:
    """Do what `Claiming.claim` promises; 2 RT where a store can not.

    The token is of what lies there when this returns: another's where that one came in between.
    """
    if is_claiming(store):
        return store.claim(key, value, ttl_s)
    if not store.add(key, value, ttl_s):
        return Claim(False)
    found = store.gets(key)
    return Claim(True, None if found is None else found.token)


def update_by_cas(store: Swapping, key: str, change: Change, *, pinned: bool = False) -> bytes | None:
    """Do what `Store.update` promises by means of gets, cas and add."""
    for _ in range(MOST_TRIES):
        found = store.gets(key)
        wanted = change(None if found is None else found.value)
        if wanted is None:
            return None if found is None else found.value
        value, ttl_s = wanted
        if found is None:
            done = store.add(key, value, ttl_s, pinned=pinned)
        else:
            done = store.cas(key, value, ttl_s, found.token, pinned=pinned)
        if done:
            return value
    raise Contended(f"update: {MOST_TRIES} times another writer of {key!r} was quicker")


def check_ttl(ttl_s: float) -> None:
    """Raise ArgumentError unless *ttl_s* is a number above 0."""
    if not isinstance(ttl_s, int | float) or isinstance(ttl_s, bool):
        raise ArgumentError(f"ttl_s: {ttl_s!r} is not a number of seconds")
    if not (0 < ttl_s < ENDLESS_S or ttl_s == math.inf):
        raise ArgumentError(
            f"ttl_s: {ttl_s!r:.80} is not above 0 and below 2**63 (math.inf: until room is needed)"
        )


def check_token(token: int) -> None:
    """Raise ArgumentError unless *token* can be one that `gets` or `incr_many` gave."""
    if not isinstance(token, int) or isinstance(token, bool) or not 0 <= token < 2**64:
        raise ArgumentError(f"token: {token!r:.80} is not one of gets")


def check_entry(key: str, value: bytes, ttl_s: float) -> None:
    """Raise ArgumentError unless these can be stored, size aside."""
    if type(key) is str and type(value) is bytes and type(ttl_s) in NUMBERS and 0 < ttl_s < ENDLESS_S:
        return  # what nearly every call is: 0.1 us
    if not isinstance(key, str):
        raise ArgumentError(f"key: {key!r} is not a str")
    if not isinstance(value, bytes):
        raise ArgumentError(f"value: a {type(value).__name__} is not bytes")
    check_ttl(ttl_s)


def check_step(key: str, by: int, ttl_s: float, first: int | None) -> None:
    """Raise ArgumentError unless this step can be taken, whatever is there."""
    check_entry(key, b"", ttl_s)
    if not isinstance(by, int) or not -LARGEST_COUNT <= by <= LARGEST_COUNT:
        raise ArgumentError(f"by: {by!r} is not an int of at most 63 bits")
    if first is not None and not (isinstance(first, int) and 0 <= first <= LARGEST_COUNT):
        raise ArgumentError(f"first: {first!r} is not an int from 0 to {LARGEST_COUNT}")
