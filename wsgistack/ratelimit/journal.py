"""The states of limits in a store that can append, such as memcached: one round trip a decision.

Each rule has one log for each key; see ledger.  All limits of a rule are granted together or not at
all by the log itself.  Where several rules hold for a request, each has its log, all are asked in
the same round trip, and what one granted is given back when another refuses.

A key that was refused is refused here, without asking, until it could pass: at most DENIED_US, so
that what somebody else gave back is seen soon.  Nothing is ever granted here.

A request that the store did not answer may have taken places of a `concurrent` limit all the same, and a
release that failed may not have come: they are given back when the store answers again.

Processes bring their own clocks: a skew between machines is an error of as much time in a limit.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from hashlib import blake2b
from itertools import count
from typing import NamedTuple

from wsgistack.errors import StoreDown, StoreError
from wsgistack.ratelimit.algorithms import NEVER, State
from wsgistack.ratelimit.algorithms.concurrent import LEASE_US
from wsgistack.ratelimit.fallback import Fallback
from wsgistack.ratelimit.ledger import NOTHING, Known, Ledger, Replayed
from wsgistack.ratelimit.limits import Limit
from wsgistack.ratelimit.rules import Rule
from wsgistack.ratelimit.table import Claim, Outcome
from wsgistack.store.base import Addition, AppendingStore, Found

__all__ = ["JournalTable"]

DENIED_US = 1_000_000
MOST_DENIED = 10_000
MOST_LONG = 1_000  # logs that the next decision about their key shortens
MOST_KNOWN = 4_000  # logs of about 1 kB, three of each at most
MOST_DOUBTS = 10_000  # places that nobody may hold any more; further ones end with their leases
MOST_TRIES = 4
SETTLES_US = 250_000  # nobody reads what he appended so much later: see _Looks
LEEWAY_US = 2_000_000  # a log outlives its use by the skew of clocks and the store's whole seconds


class _Denied(NamedTuple):
    """A claim that was refused: until when that is believed, when it could pass, at which cost.

    *claims* and *states*: of the whole request.
    """

    until: int
    passes_at: int
    cost: int
    claims: tuple[Claim, ...]
    states: list[State | None]
    state: State | None


class _Looks:
    """What this process saw of a log: *last*, and *settled*, at least SETTLES_US ago.

    A process that stands still between its append and its read finds its record as long as that is
    younger than *settled*, which is all that a base takes the place of.  Otherwise it would ask once
    more, and be counted twice.
    """

    __slots__ = ("at", "last", "next", "settled")

    def __init__(self, last: Known, at: int, settled: Known = NOTHING) -> None:
        self.last = last
        self.at = at  # when *next* was seen, which is to be the settled one
        self.next = last
        self.settled = settled


class _Group(NamedTuple):
    """The claims of one request that one log decides, by their *indices*."""

    text: str
    ledger: Ledger
    indices: list[int]
    parts: list[tuple[int, int]]


class JournalTable:
    """The states of *limits* in *store*, under keys that begin with *prefix*; see Table.

    Safe for threads, greenlets and processes, as the store is.
    """

    def __init__(
        self,
        limits: Sequence[Limit],
        store: AppendingStore,
        *,
        prefix: str = "rl:",
        on_store_error: str = "local",
        max_keys: int = 100_000,
        processes: int = 1,
    ) -> None:
        self._fallback = Fallback(limits, on_store_error, max_keys=max_keys, processes=processes)
        self._store = store
        rules: dict[Rule, list[Limit]] = {}
        for limit in limits:
            rules.setdefault(limit.rule, []).append(limit)
        ledgers = {rule: Ledger(own) for rule, own in rules.items()}
        self._ledgers = [ledgers[limit.rule] for limit in limits]
        self._numbers = [rules[limit.rule].index(limit) for limit in limits]
        self._prefixes = [f"{prefix}{limit.rule.name}:{_digest(rules[limit.rule])}:" for limit in limits]
        self._denies = [_may_deny(limit) for limit in limits]
        self._name = os.urandom(5).hex()
        self._count = count()
        self._denied: dict[tuple[int, bytes], _Denied] = {}
        self._looks: dict[str, _Looks] = {}
        self._long: dict[str, tuple[int, bytes]] = {}
        self._have_places = [limit.ban is None and limit.rate.algorithm == "concurrent" for limit in limits]
        self._doubts: deque[tuple[Claim, State]] = deque(maxlen=MOST_DOUBTS)
        self._answers_since: int | None = None  # after the last doubt

    @property
    def trouble(self) -> int:
        """How often the store failed."""
        return self._fallback.trouble

    def decide(self, claims: Sequence[Claim], now: int) -> Outcome:
        """Let all *claims* pass, or none; see Table.decide.  1 RT, none for who is known to be refused."""
        if self._denied:
            known = self._find_denied(claims, now)
            if known is not None:
                return known
        return self._fallback.decide(claims, now, lambda: self._decide(claims, now))

    def decide_one(self, number: int, key: bytes, cost: int, now: int) -> tuple[int, State | None]:
        """Do the same for a single claim; see Table.decide_one."""
        _, wait, (state,) = self.decide([(number, key, cost)], now)
        return wait, state

    def charge(self, claims: Sequence[Claim], now: int) -> None:
        """Count the costs of *claims* whatever the limits say.  1 RT."""

        def ask() -> None:
            groups = self._group(claims)
            records = [group.ledger.record("c", now, self._nonce(), group.parts) for group in groups]
            self._append(groups, records, now)

        self._fallback.charge(claims, now, ask)

    def give_back(self, claims: Sequence[tuple[Claim, State]], now: int) -> None:
        """Give back the costs of claims, each with the state that its decision gave.  1 RT."""
        for (number, key, _), _ in claims:
            self._denied.pop((number, key), None)
        self._doubt(self._fallback.give_back(claims, now, lambda granted: self._give_back(granted, now)))

    def get(self, number: int, key: bytes) -> State | None:
        """Return the state of a key, None if there is none; raises StoreError."""
        log = self._store.get(self._prefixes[number] + key.hex())
        return self._ledgers[number].replay(log or b"").states.get(self._numbers[number])

    def reset(self, number: int, key: bytes) -> bool:
        """Forget a key under all limits of its rule; return whether there was anything to forget.

        Raises StoreError.
        """
        self._denied = {}
        self._fallback.table.reset(number, key)
        return self._store.delete(self._prefixes[number] + key.hex())

    def _decide(self, claims: Sequence[Claim], now: int) -> Outcome:
        groups = self._group(claims)
        try:
            outcomes = self._ask(groups, now)
        except StoreError:
            # It may be done all the same: by a server that hangs and reads on, or by one of several.
            self._doubt((claim, (now + LEASE_US,) * claim[2]) for claim in claims if claim[2])
            raise
        if self._doubts:
            self._settle_doubts(now)
        states: list[State | None] = [None] * len(claims)
        refused, wait = -1, 0
        for group, outcome in zip(groups, outcomes, strict=True):
            for index, state in zip(group.indices, outcome.after, strict=True):
                states[index] = state
            if outcome.index != -1:
                index = group.indices[outcome.index or 0]
                if refused < 0 or index < refused:
                    refused, wait = index, outcome.wait
        if refused >= 0:
            self._refuse(claims, groups, outcomes, now, states)
            self._deny(claims, refused, wait, now, states)
        return refused, wait, states

    def _doubt(self, claims: Iterable[tuple[Claim, State]]) -> None:
        """Remember places that the store may hold for nobody.  What is used up by itself ends by itself."""
        places = [one for one in claims if self._have_places[one[0][0]]]
        if places:
            self._answers_since = None
            self._doubts.extend(places)

    def _settle_doubts(self, now: int) -> None:
        """Give them back, now that the store answers again: later than it read what came before."""
        since = self._answers_since
        if since is None:
            self._answers_since = now
        elif abs(now - since) >= SETTLES_US:
            places: list[tuple[Claim, State]] = []
            with suppress(IndexError):  # others do the same
                while True:
                    places.append(self._doubts.popleft())
            try:
                self._give_back(places, now)
            except StoreError:
                self._doubt(places)

    def _ask(self, groups: Sequence[_Group], now: int) -> list[Replayed]:
        """Return what became of each group, in one round trip if no log vanishes in its middle."""
        outcomes: dict[int, Replayed] = {}
        for _ in range(MOST_TRIES):
            open_ = [index for index in range(len(groups)) if index not in outcomes]
            if not open_:
                break
            asked = [groups[index] for index in open_]
            nonces = [self._nonce() for _ in asked]
            records = [
                group.ledger.record("d", now, nonce, group.parts)
                for group, nonce in zip(asked, nonces, strict=True)
            ]
            found = self._append(asked, records, now)
            for index, group, nonce, one in zip(open_, asked, nonces, found, strict=True):
                looks = self._looks.get(group.text)
                known, settled = (looks.last, looks.settled) if looks is not None else (NOTHING, NOTHING)
                outcome = group.ledger.replay(one.value, nonce, known=known, settled=settled)
                if outcome.index is not None:
                    outcomes[index] = outcome
                    self._look_after(group, one, outcome, now)
        if len(outcomes) < len(groups):
            raise StoreDown(f"{groups[0].text!r:.80}: what was appended is not there")
        return [outcomes[index] for index in range(len(groups))]

    def _append(self, groups: Sequence[_Group], records: Sequence[bytes], now: int) -> list[Found]:
        additions = []
        for group, record in zip(groups, records, strict=True):
            ttl_s = (group.ledger.lives_us(now) + LEEWAY_US) / 1e6
            additions.append(Addition(group.text, record, ttl_s, self._long.pop(group.text, None)))
        return self._store.append_many(additions)

    def _look_after(self, group: _Group, found: Found, outcome: Replayed, now: int) -> None:
        """Remember a log, all the more one that is long; keep one longer in which somebody is in debt."""
        self._look(group.text, Known(found.value, outcome.states), now)
        if outcome.shorter is not None and len(self._long) < MOST_LONG:
            self._long[group.text] = (found.token, outcome.shorter)
        left_us = group.ledger.ends_at(outcome.states) - now
        if left_us > group.ledger.lives_us(now):
            self._store.touch(group.text, (left_us + LEEWAY_US) / 1e6)

    def _look(self, text: str, last: Known, now: int) -> None:
        looks = self._looks.get(text)
        if looks is None:
            if len(self._looks) >= MOST_KNOWN:
                self._looks.clear()
            self._looks[text] = _Looks(last, now)
        elif abs(now - looks.at) >= SETTLES_US:  # the clock may have been set back
            self._looks[text] = _Looks(last, now, looks.next)
        else:
            looks.last = last

    def _refuse(
        self,
        claims: Sequence[Claim],
        groups: Sequence[_Group],
        outcomes: Sequence[Replayed],
        now: int,
        states: list[State | None],
    ) -> None:
        """Give back what other rules granted to a request that one refused; *states* become those after it."""
        granted = {
            index: (claims[index], states[index])
            for group, outcome in zip(groups, outcomes, strict=True)
            if outcome.index == -1
            for index in group.indices
            if claims[index][2]
        }
        if not granted:
            return
        places = list(granted)
        try:
            given = self._give_back(list(granted.values()), now)
        except StoreError:
            self._doubt(granted.values())
            raise
        for group, one in given:
            # Who is refused is told what there is when all of it was given back.
            looks = self._looks.get(group.text)
            after = group.ledger.replay(one.value, known=NOTHING if looks is None else looks.last)
            self._look(group.text, Known(one.value, after.states), now)
            for index, (number, _) in zip(group.indices, group.parts, strict=True):
                states[places[index]] = after.states.get(number)

    def _give_back(self, claims: Sequence[tuple[Claim, State]], now: int) -> list[tuple[_Group, Found]]:
        """Return what each log holds afterwards.  1 RT."""
        groups = self._group([claim for claim, _ in claims])
        records = []
        for group in groups:
            parts = [
                (number, units, claims[index][1])
                for index, (number, units) in zip(group.indices, group.parts, strict=True)
            ]
            records.append(group.ledger.giving(now, self._nonce(), parts))
        return list(zip(groups, self._append(groups, records, now), strict=True))

    def _group(self, claims: Sequence[Claim]) -> list[_Group]:
        groups: dict[str, _Group] = {}
        for index, (number, key, cost) in enumerate(claims):
            text = self._prefixes[number] + key.hex()
            group = groups.get(text)
            if group is None:
                group = groups[text] = _Group(text, self._ledgers[number], [], [])
            group.indices.append(index)
            group.parts.append((self._numbers[number], cost))
        return list(groups.values())

    def _find_denied(self, claims: Sequence[Claim], now: int) -> Outcome | None:
        for index, (number, key, cost) in enumerate(claims):
            known = self._denied.get((number, key))
            if known is not None and now < known.until and cost == known.cost:
                if known.claims == tuple(claims):
                    return index, known.passes_at - now, known.states
                states = [known.state if at == index else None for at in range(len(claims))]
                return index, known.passes_at - now, states
        return None

    def _deny(
        self, claims: Sequence[Claim], index: int, wait: int, now: int, states: list[State | None]
    ) -> None:
        number, key, cost = claims[index]
        if wait == NEVER or not self._denies[number]:
            return
        if len(self._denied) >= MOST_DENIED:
            self._denied = {place: one for place, one in self._denied.items() if one.until > now}
        if len(self._denied) < MOST_DENIED:
            until = now + min(wait, DENIED_US)
            self._denied[number, key] = _Denied(until, now + wait, cost, tuple(claims), states, states[index])

    def _nonce(self) -> str:
        return f"{self._name}{os.getpid():x}.{next(self._count):x}"


def _may_deny(limit: Limit) -> bool:
    """Tell whether a refusal holds until the time that it tells, and nobody has to count it."""
    if limit.ban is not None:
        return True
    return limit.rate.algorithm != "concurrent" and not limit.rule.count_refused and not limit.rule.ban


def _digest(limits: Sequence[Limit]) -> str:
    # Other rates count in other numbers: their states are not to be taken for these.
    text = ";".join([f"{limit.rate} in 1/{limit.rate.parts} us {limit.ban}" for limit in limits])
    return blake2b(text.encode(), digest_size=4).hexdigest()
