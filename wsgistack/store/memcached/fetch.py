"""`fetch`: a value from the cache, or made by one caller while the others have the old one or wait."""

from __future__ import annotations

import logging
import math
import random
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from wsgistack.errors import ArgumentError, Unreadable
from wsgistack.store.keys import Keys, WireKey
from wsgistack.store.memcached import requests
from wsgistack.store.memcached.envelope import Envelope
from wsgistack.store.memcached.flights import Flight, Flights
from wsgistack.store.memcached.leases import Make, Outdated, Serve, Stored, Verdict, judge
from wsgistack.store.memcached.near import Near, Promise
from wsgistack.store.memcached.operations import Operations
from wsgistack.store.memcached.pauses import pause
from wsgistack.store.memcached.replies import Reply
from wsgistack.store.memcached.tags import Tags, read_version
from wsgistack.store.memcached.values import MISSING, Values

__all__ = ["Fetcher", "Order"]

LONGEST_LEASE_S = 10.0  # nobody else may make the value for so long when its maker dies
NUMBERS = frozenset([int, float])
DURATIONS = ("early", "grace", "wait", "lease")
FIRST_POLL_S, MOST_POLL_S = 0.01, 0.1

log = logging.getLogger("wsgistack.store.memcached")


class Order(NamedTuple):
    """What a caller of `fetch` wants; see `MemcacheRing.fetch`."""

    build: Callable[[], Any]
    ttl: int
    early: float
    grace: float
    tags: tuple[str, ...]
    wait_s: float
    lease_s: float

    def check(self) -> Order:
        """Return it, or raise ArgumentError for what cannot be meant."""
        if not callable(self.build):
            raise ArgumentError(f"build: {self.build!r} cannot be called")
        durations = self[2:4] + self[5:]
        if (
            not NUMBERS.issuperset(map(type, durations))
            or not 0 <= min(durations) <= sum(durations) < math.inf
        ):
            self._check_durations(durations)
        if self.ttl < 0 or (self.ttl and self.early >= self.ttl):
            raise ArgumentError(f"early: {self.early!r} is not below ttl {self.ttl!r}")
        if not 1 <= self.lease_s <= LONGEST_LEASE_S:
            raise ArgumentError(f"lease: {self.lease_s!r} is not from 1 to {LONGEST_LEASE_S:g} seconds")
        return self

    def _check_durations(self, durations: tuple[Any, ...]) -> None:
        for name, value in zip(DURATIONS, durations, strict=True):
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
                raise ArgumentError(f"{name}: {value!r} is not a number of seconds from 0")


class _Sight(NamedTuple):
    """What one look found."""

    reply: Reply | None
    stored: Stored | None
    versions: dict[str, int | None]
    verdict: Verdict


class Fetcher:
    """The fetches of one ring."""

    def __init__(self, do: Operations, keys: Keys, values: Values, tags: Tags) -> None:
        self.flights = Flights()
        self._do = do
        self._keys = keys
        self._values = values
        self._tags = tags

    def fetch(self, key: WireKey, order: Order) -> Any:
        """Return the value, made by *order* if need be; what its build raises is raised."""
        now = time.monotonic()
        deadline = now + order.wait_s
        if self._do.near is not None:
            kept = self._do.near.find(_near_name(key), now, order.tags)
            value = (
                MISSING
                if kept is None
                else self._values.load_opened(key, kept.value or b"", kept.flags, MISSING)
            )
            if value is not MISSING:
                return value
        while True:
            flight, leads = self.flights.join(key.wire, order.tags)
            if leads:
                try:
                    return self._lead(key, order, flight, deadline)
                except Exception as error:
                    flight.error = error
                    raise
                finally:
                    self.flights.leave(key.wire, flight)
            if not flight.wait(max(deadline - time.monotonic(), 0.0)):
                return order.build()  # whoever makes it will store it
            if flight.value is not None:
                return flight.value[0]
            if flight.old is not None:
                return flight.old[0]
            if flight.error is not None:
                raise flight.error
            # Its maker was interrupted: be the next.

    def _lead(self, key: WireKey, order: Order, flight: Flight, deadline: float) -> Any:
        poll_s = FIRST_POLL_S
        near = self._do.near
        while True:
            now = time.monotonic()
            promise = self._promise(key, order, now)
            sight = self._look(key, order)
            verdict = sight.verdict
            if isinstance(verdict, Outdated):
                sight = self._look(key, order, outdated=verdict.cas)
                verdict = sight.verdict
            if isinstance(verdict, Serve):
                value = self._load(key, verdict.stored)
                if value is not MISSING:
                    flight.value = (value,)
                    if near is not None and promise:
                        _keep(near, key, promise, sight, order, now)
                    return value
                verdict = Make(None, None, is_stub=False)
            if isinstance(verdict, Make):
                return self._make(key, order, flight, verdict, sight.versions)
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return self._build(order, flight)
            pause(min(poll_s, left_s))
            poll_s = min(poll_s * 1.5, MOST_POLL_S)

    def _promise(self, key: WireKey, order: Order, now: float) -> Promise | None:
        near = self._do.near
        return None if near is None else near.promise(_near_name(key), now, self._tags.wire(order.tags))

    # -- looking ----------------------------------------------------------------------

    def _look(self, key: WireKey, order: Order, *, outdated: int | None = None) -> _Sight:
        """Ask for the item and the versions of the tags, in one round trip.

        *outdated*: mark the item of that token as stale first.
        """
        grace, early = order.grace, order.early
        node = self._do.cluster.find_reader(key.wire)
        if node is None or node is not self._do.cluster.snapshot.owner(key.wire):
            grace = early = 0  # a stand-in keeps nothing for long
        calls = []
        if outdated is not None:
            stale_ttl = math.ceil(order.grace or order.lease_s)
            calls.append(requests.release(key.wire, outdated, stale_ttl=stale_ttl))
        calls.append(
            requests.lease(key.wire, stub_ttl=math.ceil(order.lease_s), early=math.ceil(grace + early))
        )
        wires = self._tags.wire(order.tags)
        reply, items = self._do.look(node, calls, wires)
        versions = {name: read_version(items.get(wire)) for name, wire in zip(order.tags, wires, strict=True)}
        stored = self._open(reply)
        if stored is not None:
            self._complete(versions, stored.envelope)
        verdict = judge(reply, stored, versions, grace=grace, now=time.time(), draw=random.random)
        return _Sight(reply, stored, versions, verdict)

    def _open(self, reply: Reply | None) -> Stored | None:
        if reply is None or reply.value is None or (reply.value == b"" and reply.flags == 0):
            return None
        try:
            envelope, body, flags = self._values.open(reply.value, reply.flags)
        except Unreadable:
            return None
        return Stored(body, flags, envelope)

    def _complete(self, versions: dict[str, int | None], envelope: Envelope) -> None:
        """Ask for the versions of tags that the item has and the caller did not name."""
        missing = [name for name in envelope.tags if name not in versions]
        if missing:
            wires = self._tags.wire(missing)
            items = self._do.read_many(wires)
            versions.update(
                (name, read_version(items.get(wire))) for name, wire in zip(missing, wires, strict=True)
            )

    def _load(self, key: WireKey, stored: Stored) -> Any:
        return self._values.load_opened(key, stored.body, stored.flags, MISSING)

    # -- making -----------------------------------------------------------------------

    def _make(
        self, key: WireKey, order: Order, flight: Flight, task: Make, versions: dict[str, int | None]
    ) -> Any:
        old = MISSING if task.old is None else self._load(key, task.old)
        if old is not MISSING:
            flight.offer(old)
        stored = False
        try:
            # Versions before the build: what is invalidated meanwhile is outdated when it is stored.
            known = self._know(order.tags, versions)
            began = time.monotonic()
            value = self._build(order, flight)
            stored = self._store(key, order, task, value, known, time.monotonic() - began)
            return value
        except Exception:
            if old is MISSING:
                raise
            log.warning("build-failed", exc_info=True, extra={"key": key.wire})
            flight.value = (old,)
            return old
        finally:
            if not stored and task.cas is not None:
                stale_ttl = None if task.is_stub else math.ceil(order.grace or order.lease_s)
                self._do.post(key.wire, requests.release(key.wire, task.cas, stale_ttl=stale_ttl))

    def _build(self, order: Order, flight: Flight) -> Any:
        value = order.build()
        flight.value = (value,)
        return value

    def _know(self, names: Sequence[str], versions: dict[str, int | None]) -> dict[str, int] | None:
        """Return the versions of all *names*, begun where there is none; None if they cannot be known."""
        missing = [name for name in names if versions.get(name) is None]
        if missing:
            versions = {**versions, **self._tags.begin(missing)}
        known = {name: version for name in names if (version := versions.get(name)) is not None}
        return known if len(known) == len(names) else None

    def _store(
        self, key: WireKey, order: Order, task: Make, value: Any, tags: dict[str, int] | None, took_s: float
    ) -> bool:
        """Store what was made; return whether the lease is used up."""
        node = self._do.cluster.find_reader(key.wire)
        if tags is None or node is None:
            return False
        ttl = requests.expiry(order.ttl + math.ceil(order.grace)) if order.ttl else 0
        dumped = self._values.dump(key, value, ttl)
        if dumped is None:
            return False
        body, flags = dumped
        if node.is_classic:
            ends_at = requests.end_of(order.ttl, time.time())
            body, flags = Envelope(tags, ends_at, took_s).close(body, flags)
        elif tags:
            body, flags = Envelope(tags).close(body, flags)
        outcome = self._do.write(
            key.wire, lambda ttl: requests.store("set", key.wire, body, flags, ttl, cas=task.cas), ttl
        )
        return outcome.reply is not None


def _near_name(key: WireKey) -> bytes:
    """Return the name of what `fetch` found, which `get` does not take for its own: it looks at no tag."""
    return b" " + key.wire


def _keep(near: Near, key: WireKey, promise: Promise, sight: _Sight, order: Order, now: float) -> None:
    """Keep in this process what is fresh and rests on no tag but those that the promise is about."""
    reply, stored = sight.reply, sight.stored
    if reply is None or stored is None or reply.marks or not set(order.tags).issuperset(stored.envelope.tags):
        return
    left_s = reply.ttl - math.ceil(order.grace + order.early) if reply.ttl >= 0 else reply.ttl
    if left_s > 0 or left_s == -1:  # -2: nobody knows
        kept = Reply(b"VA", stored.body, stored.flags)
        near.keep(_near_name(key), promise, kept, now, left_s=left_s, tags=stored.envelope.tags)
