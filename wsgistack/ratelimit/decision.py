"""What was decided about one request, and what can still be done about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from wsgistack.accounts import Decided
from wsgistack.ratelimit.algorithms import NEVER, State
from wsgistack.ratelimit.fields import Quota
from wsgistack.ratelimit.limits import Limit
from wsgistack.ratelimit.table import Claim
from wsgistack.ratelimit.tables import States
from wsgistack.ratelimit.tellers import Teller

__all__ = ["Decision", "Judge"]

HUGE = 10**9  # all that was taken
NEAR = 5  # who has a fifth left, or less, is near to a limit: Envoy's ratio


class Judge(Protocol):
    """The limiter that decided: its *limits* by number, and where it counts.

    *settles*: whether any limit has an end; *teller*: of all decisions, where it is the same.
    """

    limits: list[Limit]
    table: States
    now: Callable[[], int]
    settles: bool
    teller: Teller | None
    find_teller: Callable[[tuple[int, ...]], Teller]


class Decision(Decided):
    """What was decided about one request, and what can still be done about it.

    Safe to use from the greenlet or thread that has the request.
    """

    __slots__ = ()

    @property
    def ok(self) -> bool:
        """Whether the request may pass."""
        return self.refused is None

    @property
    def is_blind(self) -> bool:
        """Whether it was refused without a look: the store is in trouble, and on_store_error is `closed`."""
        if self.refused is None or self.refused.ban is not None or self.wait_us == NEVER:
            return False
        # A limit that refused for a while has a state.
        return not any(state is not None for state in self._states)

    @property
    def decided_at(self) -> int:
        """When this was decided, in microseconds since the epoch."""
        return self._now

    def about(self) -> list[tuple[str, bytes]]:
        """Return (name of a rule, key) of all that the request counts under, those in dry run too."""
        return self._places([*self._claims, *self._missed])

    def refused_by(self) -> list[tuple[str, bytes]]:
        """Return the rule that refused, with its key; none if the request may pass."""
        if self.refused is None:
            return []
        return self._places([claim for claim in self._claims if claim[0] == self.refused.number][:1])

    def would_be_refused_by(self) -> list[tuple[str, bytes]]:
        """Return the rules in dry run that had no room, with their keys."""
        return self._places(self._missed)

    def outcomes(self) -> list[tuple[str, str]]:
        """Return (name of a limit, one of statistics.OUTCOMES) of all that had a say."""
        limits, refused = self._limiter.limits, self.refused
        found = [(limit.policy, "would_refuse") for limit in self.would_refuse]
        if refused is not None:
            return [*found, (refused.policy, "refused")]
        for (number, _, _), state in zip(self._claims, self._states, strict=True):
            limit = limits[number]
            if limit.ban is None:
                is_near = limit.quota(state, self._now)[0] * NEAR <= limit.rate.burst
                found.append((limit.policy, "near" if is_near else "passed"))
        return found

    def partitions(self) -> list[bytes]:
        """Return the key under which each of `quotas` counts."""
        limits = self._limiter.limits
        return [key for number, key, _ in self._claims if limits[number].item is not None]

    def _places(self, claims: Sequence[Claim]) -> list[tuple[str, bytes]]:
        limits = self._limiter.limits
        return list(dict.fromkeys([(limits[number].rule.name, key) for number, key, _ in claims]))

    @property
    def remaining(self) -> int | None:
        """How many units the tightest limit has left for this client; None where nothing limits it."""
        return min([left for _, left, _ in self.quotas()], default=None)

    def quotas(self) -> list[Quota]:
        """Return (limit, units left, microseconds until there are more) as it was when this was decided."""
        limits, now = self._limiter.limits, self._now
        quotas: list[Quota] = []
        for (number, _, _), state in zip(self._claims, self._states):  # noqa: B905 - strict costs 0.1 us
            limit = limits[number]
            if limit.item is not None:
                left, more_us = limit.quota(state, now)
                quotas.append((limit, left, more_us))
        return quotas

    def told(self) -> tuple[Teller, Sequence[State | None], int]:
        """See fields.Decided."""
        limiter = self._limiter
        teller = limiter.teller
        if teller is None:
            teller = limiter.find_teller(tuple([number for number, _, _ in self._claims]))
        return teller, self._states, self._now

    @property
    def has_an_end(self) -> bool:
        """Whether something is settled when the response is over: places, bytes, what a status costs."""
        if not self._limiter.settles:
            return False
        return any(self._limiter.limits[number].has_an_end for number, _, _ in self._claims)

    def delay(self) -> tuple[Limit, int] | None:
        """Return the limit under which a request that may pass waits longest for its turn, and how many
        microseconds; None where it need not wait.
        """
        longest: tuple[Limit, int] | None = None
        if self.refused is None:
            for (number, _, _), state in zip(self._claims, self._states, strict=True):
                limit = self._limiter.limits[number]
                delay_us = 0 if limit.delay is None or state is None else limit.delay(state, self._now)
                if delay_us > (longest[1] if longest else 0):
                    longest = limit, delay_us
        return longest

    def withdraw(self, refused: Limit, wait_us: int) -> None:
        """Refuse after all, as *refused* would have: give back all that was taken."""
        self._settle(lambda limit: -HUGE)
        self.refused, self.wait_us = refused, wait_us

    def charge(self, units: int = 1) -> None:
        """Count *units* more under each limit of requests, whatever it says.

        What an operation really cost is known afterwards: what goes beyond a limit is paid by waiting.
        """
        self._settle(lambda limit: units if limit.rate.quota_unit == "requests" else 0)

    def refund(self, units: int = 1) -> None:
        """Give *units* of what this request took back to each limit of requests.

        What has come back by itself in the meantime is not given twice.
        """
        self.charge(-units)

    def take(self, units: int) -> int:
        """Count as many of *units* more as every limit of requests has room for; return how many.

        For what can be done in parts, such as rows of a batch.  One question where there is room for
        all, else two or more.
        """
        limits = self._limiter.limits
        if self.refused is not None:
            return 0
        if self._taken is None:
            self._taken = [cost for _, _, cost in self._claims]
        places = [
            index
            for index, (number, _, _) in enumerate(self._claims)
            if limits[number].ban is None and limits[number].rate.quota_unit == "requests"
        ]
        asks = [index for index in places if not limits[self._claims[index][0]].rule.dry_run]
        units = self._take(asks, units)
        if units <= 0:
            return 0
        for index in places:
            self._taken[index] += units
        watched = [(*self._claims[index][:2], units) for index in places if index not in asks]
        if watched:
            self._limiter.table.charge(watched, self._limiter.now())
        return units

    def _take(self, places: Sequence[int], units: int) -> int:
        """Take up to *units* under the claims at *places*, and remember their states for a refund."""
        claims, limits = [self._claims[index] for index in places], self._limiter.limits
        while units > 0 and claims:
            now = self._limiter.now()
            refused, _, states = self._limiter.table.decide(
                [(number, key, units) for number, key, _ in claims], now
            )
            if refused < 0:
                after = dict(zip(places, states, strict=True))
                self._states = [after.get(index, state) for index, state in enumerate(self._states)]
                break
            room = [
                limits[number].quota(state, now)[0]
                for (number, _, _), state in zip(claims, states, strict=True)
            ]
            units = min(units - 1, *room)
        return units

    def charge_bytes(self, size: int) -> None:
        """Count *size* bytes under each limit of bytes."""
        self._settle(lambda limit: size if limit.rate.in_bytes else 0)

    def charge_for_status(self, status: int) -> None:
        """Count what the rules say that a response of *status* costs or gives back."""
        self._settle(
            lambda limit: limit.rule.extra_units(status) if limit.rate.quota_unit == "requests" else 0
        )

    def release(self) -> None:
        """Give back the places of all limits of concurrency: the request is over."""
        self._settle(lambda limit: -HUGE if limit.rate.algorithm == "concurrent" else 0)

    def join(self, watched: Decision) -> None:
        """Settle what a rule in dry run decided together with this one, and remember what it refused."""
        if watched.refused is not None:
            self.would_refuse = [*self.would_refuse, watched.refused]
            self._missed = [*self._missed, *watched._claims]
        else:
            if self.refused is not None:
                watched._settle(lambda limit: -HUGE)  # who is refused takes nothing there either
            self._claims = [*self._claims, *watched._claims]
            self._states = [*self._states, *watched._states]

    def _settle(self, units_of: Callable[[Limit], int]) -> None:
        """Count *units_of* each limit more, or less where that is negative."""
        if self.refused is not None:
            return  # it took nothing
        if self._taken is None:
            self._taken = [cost for _, _, cost in self._claims]
        more: list[Claim] = []
        less: list[tuple[Claim, State]] = []
        for index, (number, key, _) in enumerate(self._claims):
            limit = self._limiter.limits[number]
            units = units_of(limit) if limit.ban is None else 0
            if units > 0:
                more.append((number, key, units))
            elif units < 0 and self._taken[index]:
                units = min(-units, self._taken[index])
                self._taken[index] -= units
                less.append(((number, key, units), self._states[index]))
        table, now = self._limiter.table, self._limiter.now() if more or less else 0
        if more:
            table.charge(more, now)
        if less:
            table.give_back(less, now)
