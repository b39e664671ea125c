"""Stories in which much is given back, at once, late or after its window: and faults that they must find.

One limit, met by everybody, whose responses end long after they began: what a wrong return does is seen
by the decisions after it.  In a store there is a narrower one behind it, whose refusals give back what the
first had granted.  The faults are planted in the algorithms and in the table, so that the checker can fail.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.simulation.counted import About, Claim
from tests.simulation.seeds import make_seeds
from tests.simulation.test_limits_in_stacks import CHARGE, GIVES, Story
from wsgistack.ratelimit.algorithms.calendar import Calendar
from wsgistack.ratelimit.algorithms.concurrent import Concurrent
from wsgistack.ratelimit.algorithms.exact import Exact
from wsgistack.ratelimit.algorithms.fixed import Fixed
from wsgistack.ratelimit.algorithms.gcra import Gcra
from wsgistack.ratelimit.algorithms.sliding import Sliding
from wsgistack.ratelimit.rates import parse_rates
from wsgistack.ratelimit.shared import SharedTable

RATES = {
    "gcra": "7/minute",
    "gcra burst": "7/10 s burst 4",
    "fixed": "6/10 s fixed",
    "sliding": "9/minute sliding",
    "calendar": "12/calendar minute",
    "exact": "6/20 s exact",
    "concurrent": "5 concurrent",
}
NARROW = "3/10 s fixed"
STORE = "memory://"
STEPS = 150
MOST_SEEDS = 6  # within which a fault is found


class GivingStory(Story):
    """One limit that is about every request, over a store another one behind it."""

    def __init__(self, seed: int, folder: Path, rate: str, store: str = "process") -> None:
        self.rate, self.made, self.store = rate, count(), store
        super().__init__(seed, folder)
        self.window_ns = parse_rates(rate)[0].window_us * 1000 or 60 * 10**9

    def make_rule(self, name: str) -> About:
        number = next(self.made)
        if number == 1 and self.store != "process":
            return About(name, NARROW, [], [], "", "everybody", 1, {})
        if number:
            return About(name, self.rate, ["/nowhere"], [], "", "ip", 1, {})
        charge = self.rng.choice([{}, CHARGE, GIVES])
        return About(name, self.rate, [], [], "", "everybody", self.rng.choice([1, 2, 3]), charge)

    make_wide = make_rule

    def step(self) -> None:
        rng = self.rng
        parts = rng.choice([0, 0, 1, 10, 100, 300, 500, 900, 1000])
        passes_ns = self.window_ns * parts // 1000 + rng.randrange(3) * 1000
        self.steady_ns += passes_ns
        self.wall_ns += passes_ns
        self.now = self.clock.read()
        while self.open and rng.random() < 0.4:
            self.end(*self.open.pop(rng.randrange(len(self.open))))
        for _ in range(rng.choice([1, 2, 4])):
            self.ask()

    def decide(self, claims: list[Claim], decision: Any, where: str) -> bool:
        """Do the same; over a store those before the limit that refused were granted for a moment."""
        passes = super().decide(claims, decision, where)
        for one, cost in [] if passes or self.store == "process" else self.seen:
            if one.policy == decision.refused.policy:
                break
            one.log.give_back(self.now, one.log.take(self.now, cost), cost)
        return passes

    def run(self) -> None:
        for _ in range(STEPS):
            self.step()


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("store", ["process", STORE])
@pytest.mark.parametrize("seed", make_seeds(2))
def test_what_is_given_back_is_what_was_taken(seed: int, store: str, rate: str, tmp_path: Path) -> None:
    story = GivingStory(seed, tmp_path, RATES[rate], store)
    story.run()
    assert story.outcomes[200] > 20
    assert story.outcomes[429] > 0


# -- faults --------------------------------------------------------------------------------


def gcra_what_came_back_by_itself_too(self: Any, state: Any, now: int, cost: int, taken: Any) -> Any:
    tat = None if state is None else state - cost * self._step
    return tat if tat is not None and tat > now * self._parts else None


def gcra_nothing_once_some_came_back(self: Any, state: Any, now: int, cost: int, taken: Any) -> Any:
    now *= self._parts
    if state is None or taken - now < cost * self._step:
        return state
    return state - cost * self._step if state - cost * self._step > now else None


def sliding_to_the_window_that_is(self: Any, state: Any, now: int, cost: int, taken: Any) -> Any:
    index, before, used = self._turn(state, now)
    used = max(used - cost, 0)
    return (index, before, used) if before or used else None


def sliding_nothing_after_the_window(self: Any, state: Any, now: int, cost: int, taken: Any) -> Any:
    index, before, used = self._turn(state, now)
    if taken[0] == index:
        used = max(used - cost, 0)
    return (index, before, used) if before or used else None


def window_to_whichever_is_open(self: Any, state: Any, now: int, cost: int, taken: Any) -> Any:
    return None if state is None else (state[0], max(state[1] - cost, 0))


def window_nothing_where_all_came_back(self: Any, state: Any, now: int, cost: int, taken: Any) -> Any:
    if state is None or state[0] != taken[0] or state[1] <= cost:
        return state
    return state[0], state[1] - cost


def stamps_the_oldest(self: Any, state: Any, now: int, cost: int, taken: Any) -> Any:
    live = tuple(stamp for stamp in state or () if stamp > now)
    return live[cost:] or None


def stamps_one_only(self: Any, state: Any, now: int, cost: int, taken: Any) -> Any:
    live = [stamp for stamp in state or () if stamp > now]
    if taken[-1] in live:
        live.remove(taken[-1])
    return tuple(live) or None


FAULTS: list[tuple[str, type, Callable[..., Any]]] = [
    ("gcra", Gcra, gcra_what_came_back_by_itself_too),
    ("gcra burst", Gcra, gcra_nothing_once_some_came_back),
    ("sliding", Sliding, sliding_to_the_window_that_is),
    ("sliding", Sliding, sliding_nothing_after_the_window),
    ("calendar", Calendar, window_to_whichever_is_open),
    ("calendar", Calendar, window_nothing_where_all_came_back),
    ("fixed", Fixed, window_to_whichever_is_open),
    ("fixed", Fixed, window_nothing_where_all_came_back),
    ("exact", Exact, stamps_the_oldest),
    ("exact", Exact, stamps_one_only),
    ("concurrent", Concurrent, stamps_one_only),
]


@pytest.mark.parametrize(
    ("rate", "algorithm", "fault"), FAULTS, ids=[f"{rate} {fault.__name__}" for rate, _, fault in FAULTS]
)
def test_a_planted_fault_is_found(
    rate: str, algorithm: type, fault: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(algorithm, "give_back", fault)
    assert is_found(tmp_path, rate), f"{fault.__name__} was not found in {MOST_SEEDS} stories"


@pytest.mark.parametrize("rate", RATES)
def test_a_store_that_keeps_what_a_later_limit_refused_is_found(
    rate: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        SharedTable, "_give_back_all", lambda self, claims, now: [state for _, state in claims]
    )
    assert is_found(tmp_path, rate, STORE)


def is_found(folder: Path, rate: str, store: str = "process") -> bool:
    """Tell whether one of so many stories comes out wrong."""
    for seed in range(MOST_SEEDS):
        (folder / str(seed)).mkdir()
        story = GivingStory(seed, folder / str(seed), RATES[rate], store)
        try:
            story.run()
        except AssertionError:
            return True
    return False
