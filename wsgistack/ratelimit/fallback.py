"""What happens to requests while the store of the limits is in trouble.

The store is left alone for a moment after it failed, instead of making everybody wait for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wsgistack.errors import SettingError, StoreError
from wsgistack.ratelimit.algorithms import State
from wsgistack.ratelimit.limits import Limit
from wsgistack.ratelimit.table import Claim, Outcome, Table
from wsgistack.registry import find_nearest

__all__ = ["ON_STORE_ERROR", "Fallback"]

ON_STORE_ERROR = ("local", "open", "closed")
PAUSE_US = 1_000_000  # without the store after it failed
CLOSED_WAIT_US = 1_000_000


class Fallback:
    """Decides in the place of a store: `local` counts in this process, `open` lets everybody pass,
    `closed` refuses.  *trouble* counts how often the store failed.
    """

    def __init__(self, limits: Sequence[Limit], policy: str, *, max_keys: int) -> None:
        if policy not in ON_STORE_ERROR:
            nearest = find_nearest(str(policy), ON_STORE_ERROR)
            hint = f" (did you mean '{nearest}'?)" if nearest else ""
            raise SettingError(f"on_store_error: {policy!r} is not one of {', '.join(ON_STORE_ERROR)}{hint}")
        self.trouble = 0
        self.table = Table([limit.counter for limit in limits], max_keys=max_keys)
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
            return self.table.decide(claims, now)
        states: list[State | None] = [None] * len(claims)
        if self._policy == "open" or not claims:
            return -1, 0, states
        return 0, CLOSED_WAIT_US, states

    def settle(self, now: int, step: Callable[[], None], otherwise: Callable[[], None]) -> None:
        """Do *step*, or *otherwise* where the store is in trouble."""
        if now >= self._alone_until:
            try:
                step()
            except StoreError:
                self._leave_alone(now)
            else:
                return
        otherwise()

    def _leave_alone(self, now: int) -> None:
        self.trouble += 1
        self._alone_until = now + PAUSE_US
