"""Rings: which node owns a key.  A ring is an immutable snapshot; changing one is making the next.

>>> ring = build("ketama", [Member("10.0.0.1"), Member("10.0.0.2"), Member("10.0.0.3", weight=2)])
>>> ring.owner("page:/").address
'10.0.0.1:11211'
>>> ring.owner(b"page:/") is ring.owner("page:/")
True

`LiveRing` holds the ring of now and makes the next one off the event loop.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from wsgistack.errors import ConfigurationError
from wsgistack.store.layouts import LAYOUTS, Member, Placing

__all__ = ["LiveRing", "Member", "Ring", "build"]

Key = TypeVar("Key", str, bytes)
MOST_MEMBERS = 1000
HEAVIEST = 1000
MOST_POINTS = 1_000_000  # a weight may stand for as many points, and memory
TURN_S = 0.0002  # of work, before others have their turn


@dataclass(frozen=True, slots=True)
class Ring:
    """Who owns what, among *members*; a text key and its UTF-8 bytes have the same owner.

    Safe to read from everywhere, never changed.  Numbers are places in *members*.
    """

    layout: str
    members: tuple[Member, ...]
    placing: Placing

    def place(self, key: str | bytes) -> int:
        """Return the number of the owner."""
        return self.placing.place(key if isinstance(key, bytes) else _encode(key))

    def owner(self, key: str | bytes) -> Member:
        """Return the owner."""
        return self.members[self.place(key)]

    def places(self, key: str | bytes, most: int | None = None) -> list[int]:
        """Return the numbers of the owner and its successors, each once, all or the first *most*."""
        count = len(self.members) if most is None else most
        return self.placing.places(key if isinstance(key, bytes) else _encode(key), count)

    def owners(self, key: str | bytes, most: int | None = None) -> list[Member]:
        """Return the owner and its successors, each once, all or the first *most*."""
        return [self.members[number] for number in self.places(key, most)]

    def group(self, keys: Iterable[Key]) -> dict[int, list[Key]]:
        """Return {number of a member: its keys, in the order given}; members without a key are left out."""
        wanted = list(keys)
        encoded = [key if isinstance(key, bytes) else _encode(key) for key in wanted]
        groups: dict[int, list[Key]] = {}
        for number, key in zip(self.placing.place_many(encoded), wanted, strict=True):
            if number in groups:
                groups[number].append(key)
            else:
                groups[number] = [key]
        return groups


def build(layout: str, members: Iterable[Member], *, pause: Callable[[], None] = lambda: None) -> Ring:
    """Return the ring of *members* by a layout's rule.  Pure; up to 50 ms of work for 100 members.

    ConfigurationError: no member, two of one address, a weight that is not 1 to 1000; UnknownName:
    no such layout.  *pause()* is called after each bit of work of less than a millisecond.
    """
    rule = LAYOUTS.get(layout)
    nodes = tuple(members)
    _check(nodes)
    return Ring(layout, nodes, rule.build(nodes, pause))


def _check(members: Sequence[Member]) -> None:
    if not 1 <= len(members) <= MOST_MEMBERS:
        raise ConfigurationError(f"a ring of {len(members)} nodes; it takes 1 to {MOST_MEMBERS}")
    seen: set[str] = set()
    for member in members:
        if member.address in seen:
            raise ConfigurationError(f"the ring has {member.address} twice")
        seen.add(member.address)
        weight = member.weight
        if not isinstance(weight, int) or isinstance(weight, bool) or not 1 <= weight <= HEAVIEST:
            raise ConfigurationError(
                f"{member.address}: weight {weight!r} is not a whole number from 1 to {HEAVIEST}"
            )
    points = 160 * sum(member.weight for member in members)
    if points > MOST_POINTS:
        raise ConfigurationError(f"the weights ask for {points} points; the most is {MOST_POINTS}")


def _encode(key: str) -> bytes:
    return key.encode("utf-8", "surrogatepass")


class LiveRing:
    """The ring of now.  Read `ring` once per operation; it is swapped, never changed.

    `change` makes the next ring in a thread that lets go of the interpreter every TURN_S; where
    gevent has patched `threading` and `time` that is a greenlet which lets the loop run.  Of several changes at once the last one asked for stays.
    """

    def __init__(self, layout: str, members: Iterable[Member]) -> None:
        self.ring = build(layout, members)
        self._lock = threading.Lock()
        self._asked = 0
        self._under_way: tuple[tuple[Member, ...], Callable[[Ring], None]] | None = None

    def change(self, members: Iterable[Member], *, done: Callable[[Ring], None] = lambda ring: None) -> None:
        """Begin to make the ring of *members*; once it is the ring of now, call *done* in the thread.

        Raises what `build` would for these members, at once and with nothing changed.
        """
        nodes = tuple(members)
        _check(nodes)
        with self._lock:
            self._asked += 1
            asked = self._asked
            self._under_way = nodes, done
        name = f"ring of {len(nodes)}"
        threading.Thread(target=self._make, args=(asked, nodes, done), name=name, daemon=True).start()

    def _make(self, asked: int, members: tuple[Member, ...], done: Callable[[Ring], None]) -> None:
        ring = build(self.ring.layout, members, pause=_make_pause())
        time.sleep(0)  # the last bit of work is the longest: what *done* does is one of its own
        with self._lock:
            is_newest = asked == self._asked
            if is_newest:
                self.ring = ring
        if not is_newest:
            return
        done(ring)
        with self._lock:
            if asked == self._asked:
                self._under_way = None

    def forked(self) -> None:
        """In a forked child, to be called by its owner: make the ring that a thread of the parent is at."""
        self._lock = threading.Lock()
        if self._under_way is not None:
            self._make(self._asked, *self._under_way)


def _make_pause() -> Callable[[], None]:
    """Return a function that lets others run when that was TURN_S ago."""
    since = time.monotonic()

    def pause() -> None:
        nonlocal since
        if time.monotonic() - since >= TURN_S:
            time.sleep(0)
            since = time.monotonic()

    return pause
