"""What happens to requests while the store of the limits is in trouble.

The store is left alone for a moment after it failed, instead of making everybody wait for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wsgistack.errors import SettingError, StoreError
from wsgistack.ratelimit.algorithms import State
from wsgistack.ratelimit.limits import Limit
from wsgistack.ratelimit.table import Claim, Outcome, Table
from wsgistack.registry import find_hint

__all__ = ["ON_STORE_ERROR", "Fallback"]

ON_STORE_ERROR = ("local", "open", "closed")
PAUSE_US = 1_000_000  # without the store after it failed
CLOSED_WAIT_US = 1_000_000


class OwnNumber(int):
    """A state of one number that this process gave while the store was in trouble."""


class OwnNumbers(tuple[int, ...]):
    """The same of several numbers."""


class Fallback:
    """Decides in the place of a store: `local` counts in this process, `open` lets everybody pass,
    `closed` refuses.  *trouble* counts how often the store failed.

    *processes*: how many use the store.  Each counts a unit that often in its own memory, so that all of
    them together admit what the limit says; but at least one request where the limit has room for one.
    """

    def __init__(self, limits: Sequence[Limit], policy: str, *, max_keys: int, processes: int = 1) -> None:
        if policy not in ON_STORE_ERROR:
            hint = find_hint(str(policy), ON_STORE_ERROR)
            raise SettingError(f"on_store_error: {policy!r} is not one of {', '.join(ON_STORE_ERROR)}{hint}")
        self.trouble = 0
        self.table = Table([limit.counter for limit in limits], max_keys=max_keys)
        self._limits = limits
        self._processes = processes
        self._policy = policy
        self._alone_until = 0

    def decide(self, claims: Sequence[Claim], now: int, ask: Callable[[], Outcome]) -> Outcome:
        """Return what *ask* does, or what the policy says where the store is in trouble."""
        if now >= self._alone_until:
            try:
                return ask()
            except StoreError:
                self._leave_alone(now)
        if self._policy == "local":
            index, wait, states = self.table.decide([self._share(claim) for claim in claims], now)
            return index, wait, [_own(state) for state in states]
        states = [None] * len(claims)
        if self._policy == "open" or not claims:
            return -1, 0, states
        # A ban that comes first is not why: nobody knows whether there is one.
        is_ban = [self._limits[number].ban is not None for number, _, _ in claims]
        return (is_ban.index(False) if False in is_ban else 0), CLOSED_WAIT_US, states

    def charge(self, claims: Sequence[Claim], now: int, step: Callable[[], None]) -> None:
        """Do *step*, or count the costs of *claims* here where the store is in trouble."""
        if not self._do(now, step):
            more = [(number, key, cost * self._factor(number)) for number, key, cost in claims]
            self.table.charge(more, now)

    def give_back(
        self,
        claims: Sequence[tuple[Claim, State]],
        now: int,
        step: Callable[[Sequence[tuple[Claim, State]]], object],
    ) -> Sequence[tuple[Claim, State]]:
        """Do *step* with those of *claims* that the store granted; return them if it could not be done.

        What this process granted meanwhile is given back here, and what nobody counted (a state of None)
        nowhere.  What the store granted stays taken while the store is in trouble.
        """
        own = [(self._share(claim), taken) for claim, taken in claims if isinstance(taken, OWN)]
        if own:
            self.table.give_back(own, now)
        rest = [(claim, taken) for claim, taken in claims if taken is not None and not isinstance(taken, OWN)]
        return rest if rest and not self._do(now, lambda: step(rest)) else ()

    def _share(self, claim: Claim) -> Claim:
        """Return a claim at what its units cost here, where this is one of several processes."""
        if self._processes == 1:
            return claim
        number, key, cost = claim
        return number, key, min(cost * self._factor(number), max(cost, self._limits[number].rate.burst))

    def _factor(self, number: int) -> int:
        return 1 if self._limits[number].ban is not None else self._processes

    def _do(self, now: int, step: Callable[[], object]) -> bool:
        if now < self._alone_until:
            return False
        try:
            step()
        except StoreError:
            self._leave_alone(now)
            return False
        return True

    def _leave_alone(self, now: int) -> None:
        self.trouble += 1
        self._alone_until = now + PAUSE_US


OWN = (OwnNumber, OwnNumbers)


def _own(state: State | None) -> State | None:
    if state is None:
        return None
    return OwnNumbers(state) if isinstance(state, tuple) else OwnNumber(state)
