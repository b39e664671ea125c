"""One fill at a time: who asks for a page that is being made waits for it instead of making it again.

In a process the first to `join` a key leads, the others follow its Flight: they take the blocks as
they come, and go alone when the reply proves to be for one visitor, when its maker is gone, or when
they waited long enough.  Over processes the leader holds a lease in the store; another process's
leader polls until the page is there.  Where nothing is stored the lease lies where the page will: to
get it proves that no page came meanwhile, and the page that is stored ends it.

A key whose reply could not be shared is remembered (Varnish: hit-for-miss): its requests do not wait
for each other any more, until a reply can be shared again or *memory_s* are over.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import Any, Generic, NamedTuple, TypeVar

from wsgistack import forks
from wsgistack.cache.tickets import NO_HOLD, Hold, once
from wsgistack.errors import StoreError
from wsgistack.store.base import Store, claim
from wsgistack.store.memcached.pauses import make_event, pause

__all__ = ["Coalescer", "Flight", "Lease", "Left", "Stage", "Taken", "beside"]

Head = TypeVar("Head")
Looked = TypeVar("Looked")

FIRST_POLL_S, MOST_POLL_S = 0.005, 0.1
MOST_HELD_S = 1.0  # in which the client of a leader may take what it was given, all in all
BUSY, REFUSED = b"busy", b"refused"
MOST_REMEMBERED = 10_000


class Left(Exception):
    """The maker of a page is gone, or stopped, when a part of it had been taken already."""


class Stage(Enum):
    """How far a flight is; only the first and the second are followed by others."""

    DECIDING = "it is not known yet whether the reply can be shared"
    SHARED = "its blocks come"
    COMPLETE = "all of it is there"
    REFUSED = "the reply is for one visitor"
    LOST = "its maker is gone"


GOING_ON = (Stage.DECIDING, Stage.SHARED)


class Flight(Generic[Head]):
    """One page on its way; *head* is what the leader says of it.  For any thread and greenlet.

    *is_another*: it began beside one that was held up.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic, *, is_another: bool = False) -> None:
        self.stage = Stage.DECIDING
        self.head: Head | None = None
        self.followers = 0
        self.is_another = is_another
        self._now = now
        self._held_s = 0.0
        self._is_given_up = False
        self._given_at: float | None = None
        self.asked = 0  # what Coalescer.happened was when the application was asked, 0 before
        self.signs: object = None  # of what lay in the store then: see tickets
        self.moment: int | None = None  # of what had been forgotten then: see forgotten
        self._blocks: list[bytes] = []
        self._lock = threading.Lock()
        self._events: list[Any] = []

    # -- the leader's

    def share(self, head: Head) -> None:
        """Let others have what comes."""
        self.head = head
        self._move(Stage.SHARED)

    def add(self, block: bytes) -> None:
        """Give a block to the others, and to the leader's own client."""
        self._given_at = self._now()
        with self._lock:
            if self.stage in GOING_ON:
                self._blocks.append(block)
        self._wake()

    def go_on(self) -> None:
        """Take note that the leader's client has taken what it was given."""
        if self._given_at is not None:
            self._held_s += self._now() - self._given_at
            self._given_at = None

    def give_up(self) -> None:
        """Let nobody wait for it any more: one waited too long already."""
        self._is_given_up = True

    @property
    def is_held_up(self) -> bool:
        """True if the leader's client takes so long that nobody should wait for what it does not take."""
        given_at = self._given_at
        held_s = self._held_s + (0.0 if given_at is None else self._now() - given_at)
        return held_s >= MOST_HELD_S or self._is_given_up

    def complete(self) -> None:
        """Say that this was all."""
        self._move(Stage.COMPLETE)

    def refuse(self) -> None:
        """Let the others go alone: what comes is for one visitor."""
        self._move(Stage.REFUSED)

    def lose(self) -> None:
        """Let the others go alone, if it did not come to an end before."""
        if self.stage in GOING_ON:
            self._move(Stage.LOST)

    # -- the followers'

    def wait(self, seconds: float) -> Stage:
        """Return the stage once it is decided, or DECIDING after *seconds*."""
        self._wait(lambda: self.stage is not Stage.DECIDING, seconds)
        return self.stage

    def wait_for_all(self, seconds: float) -> bytes | None:
        """Return the whole body, None if it does not come within *seconds*, or is held up."""
        left_s = seconds
        while self.stage in GOING_ON and left_s > 0 and not self.is_held_up:
            self._wait(lambda: self.stage not in GOING_ON, min(left_s, MOST_HELD_S))
            left_s -= MOST_HELD_S
        return b"".join(self._blocks) if self.stage is Stage.COMPLETE else None

    def blocks(self, seconds: float) -> Iterator[bytes]:
        """Yield the blocks as they come; Left when none comes within *seconds*, or it is held up, or its maker is gone."""
        at = 0
        while True:
            self._wait_for_more(at, seconds)
            blocks = self._blocks  # another thread may put an empty list there
            if at < len(blocks):
                yield blocks[at]
                at += 1
            elif self.stage is Stage.COMPLETE:
                return
            else:
                raise Left(f"after {at} blocks: {self.stage.value}")

    def _wait_for_more(self, at: int, seconds: float) -> None:
        """Wait till there are more than *at* blocks or no more come, as long as its leader's client takes what comes."""
        left_s = seconds
        while True:
            self._wait(
                lambda: len(self._blocks) > at or self.stage is not Stage.SHARED, min(left_s, MOST_HELD_S)
            )
            left_s -= MOST_HELD_S
            if len(self._blocks) > at or self.stage is not Stage.SHARED or left_s <= 0 or self.is_held_up:
                return

    def _move(self, stage: Stage) -> None:
        with self._lock:
            self.stage = stage
            if stage in (Stage.REFUSED, Stage.LOST):
                self._blocks = []  # nobody may have them; a large body must not be held
        self._wake()

    def _wait(self, is_there: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not is_there():
            event = make_event()
            with self._lock:
                if is_there():
                    return
                self._events.append(event)
            left_s = deadline - time.monotonic()
            if left_s <= 0 or not event.wait(left_s):
                return

    def _wake(self) -> None:
        if not self._events:  # who comes now sees what was done: the lock was ours for it
            return
        with self._lock:
            events, self._events = self._events, []
        for event in events:
            event.set()


class Lease(Enum):
    """What the fleet says to a leader."""

    OURS = "make the page"
    OTHERS = "another process makes it"
    REFUSED = "the reply could not be shared a moment ago"
    STORED = "something else lies there"


class Taken(NamedTuple):
    """What came of asking for a lease, and what lies there now."""

    lease: Lease
    hold: Hold = NO_HOLD


class Coalescer(Generic[Head]):
    """The flights of one cache.

    *wait_s*: how long anybody waits for anybody.  *lease_s*: how long other processes wait at most
    when a leader dies.  *memory_s*: how long a key is known as one that cannot be shared.
    """

    def __init__(
        self,
        store: Store,
        *,
        wait_s: float = 10.0,
        lease_s: float = 30.0,
        memory_s: float = 120.0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.wait_s = wait_s
        self.happened = 0  # flights that began to ask, and flights that ended
        self._store = store
        self._lease_s = lease_s
        self._memory_s = memory_s
        self._now = now
        self._flights: dict[str, Flight[Head]] = {}
        self._alone: dict[str, tuple[float, bool]] = {}  # until when, and whether a look found nothing since
        self._lock = threading.Lock()
        forks.register(self)

    def __len__(self) -> int:
        return len(self._flights)

    def join(self, key: str) -> tuple[Flight[Head], bool] | None:
        """Return the flight of *key* and whether the caller leads it, None for who is to go alone.

        Who leads says `share` or `refuse`, then `complete`, and in any case `leave`.  Nobody follows one
        whose client reads slowly: who comes then leads another flight.
        """
        alone = self._alone.get(key)
        if alone is not None:
            if alone[0] > self._now():
                return None
            self.forgive(key)
        with self._lock:
            flight = self._flights.get(key)
            if flight is not None and not flight.is_held_up:
                flight.followers += 1
                return flight, False
            another = self._flights[key] = Flight(self._now, is_another=flight is not None)
            return another, True

    def asks(self, flight: Flight[Head], signs: object, moment: int) -> None:
        """Take note that the leader of *flight* asks the application; *signs*: of what lies in the store.

        *moment*: of what was forgotten till then.
        """
        with self._lock:
            self.happened += 1
            flight.asked, flight.signs, flight.moment = self.happened, signs, moment

    def leave(self, key: str, flight: Flight[Head]) -> None:
        """End a flight that the caller leads: who comes now begins a new one."""
        with self._lock:
            self.happened += 1
        self.drop(key, flight)
        flight.lose()

    def begin_anew(self, keys: Iterable[str] | None = None) -> None:
        """Let nobody who comes from now on follow what is on its way for *keys*, or for any: it is of before a change."""
        with self._lock:
            for key in list(self._flights) if keys is None else keys:
                self._flights.pop(key, None)

    def is_current(self, flight: Flight[Head], happened: int, signs: object) -> bool:
        """Tell whether *flight* may bring nothing of before a change that was over when a request came.

        *happened*: what that was before the request's look, *signs*: of what the look met in the store.
        Changes that this process knows of end flights.
        """
        return not self._store.shared or not flight.asked or flight.asked > happened or flight.signs == signs

    def drop(self, key: str, flight: Flight[Head]) -> None:
        """Let nobody who comes from now on follow *flight*."""
        with self._lock:
            if self._flights.get(key) is flight:
                del self._flights[key]

    def may_have_come(self, happened: int) -> bool:
        """Tell whether somebody may have stored a page since `happened` was that number, before a look."""
        return self._store.shared or self.happened != happened

    def remember(self, key: str) -> None:
        """Let the requests for *key* go alone from now on."""
        with self._lock:
            while len(self._alone) >= MOST_REMEMBERED:
                del self._alone[next(iter(self._alone))]
            self._alone[key] = (self._now() + self._memory_s, False)

    def note(self, key: str, *, is_empty: bool) -> None:
        """Take note whether anything is stored for a *key* whose requests go alone."""
        alone = self._alone.get(key)
        if alone is not None and alone[1] is not is_empty:
            with self._lock:
                if key in self._alone:
                    self._alone[key] = (alone[0], is_empty)

    @property
    def alone(self) -> dict[str, tuple[float, bool]]:
        """The keys whose requests go alone: until when by `clock`, and whether nothing lies there.  To be read."""
        return self._alone

    @property
    def clock(self) -> Callable[[], float]:
        """What tells seconds for `alone`."""
        return self._now

    def is_worth_a_look(self, key: str) -> bool:
        """Tell whether anything may be stored for *key*; False while its requests go alone and nothing was there."""
        alone = self._alone.get(key)
        return alone is None or not alone[1] or alone[0] <= self._now()

    def forgive(self, key: str) -> None:
        """Take note that the reply for *key* can be shared again."""
        if key in self._alone:
            with self._lock:
                self._alone.pop(key, None)

    # -- over processes

    @property
    def is_for_fleet(self) -> bool:
        """True if other processes may make the same pages."""
        return self._store.shared and self._lease_s > 0

    def take_lease(self, name: str) -> Taken:
        """Return who makes a page in the fleet; *name*: the page's key where nothing lies, else `beside` it.

        1 RT, 2 when somebody else does.
        """
        if not self.is_for_fleet:
            return Taken(Lease.OURS)
        try:
            raw = once(BUSY)
            made = claim(self._store, name, raw, self._lease_s)
            if made.is_new:
                return Taken(Lease.OURS, NO_HOLD if made.token is None else Hold(made.token, raw=raw))
            met = self._store.gets(name)  # not what a tier nearby had a moment ago
        except StoreError:
            return Taken(Lease.OURS)
        if met is None or met.value.startswith(BUSY) or not met.value:
            return Taken(Lease.OTHERS)
        lease = Lease.REFUSED if met.value == REFUSED else Lease.STORED
        return Taken(lease, Hold(met.token, raw=met.value))

    def give_lease_back(self, name: str, *, refused: bool) -> None:
        """Let other processes go on, alone if the reply was *refused*.  1 RT."""
        if not self.is_for_fleet:
            return
        try:
            if refused:
                self._store.set(name, REFUSED, self._memory_s)
            else:
                self._store.delete(name)
        except StoreError:
            return

    def wait_for_fleet(self, name: str, look: Callable[[], Looked | None]) -> Looked | Taken:
        """Return what *look* finds while another process makes the page, or who is to make it now.

        Polls at growing distances, at most for wait_s; OTHERS then, and the caller is not the only one.
        """
        deadline, poll_s = time.monotonic() + self.wait_s, FIRST_POLL_S
        while True:
            pause(poll_s)
            found = look()
            if found is not None:
                return found
            taken = self.take_lease(name)
            if taken.lease is not Lease.OTHERS or time.monotonic() >= deadline:
                return taken
            poll_s = min(poll_s * 1.5, MOST_POLL_S)

    def forked(self) -> None:
        """Forget the flights: who leads them stays in the parent."""
        self._flights = {}
        self._lock = threading.Lock()


def beside(key: str) -> str:
    """Return the name of the lease for a page that is stored already, in another state or variant."""
    return "l:" + key
