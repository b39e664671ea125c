"""What happens to requests while the store of the limits is in trouble, and when it is back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.ratelimit.appending import Appender
from wsgistack.errors import StoreDown
from wsgistack.ratelimit.algorithms import NEVER
from wsgistack.ratelimit.answers import make_answer
from wsgistack.ratelimit.clients import Trust, everybody
from wsgistack.ratelimit.decision import Decision
from wsgistack.ratelimit.fallback import Fallback
from wsgistack.ratelimit.limiter import Limiter
from wsgistack.ratelimit.rules import Rule
from wsgistack.store.url import make_store
from wsgistack.wsgi import EnvironRequest

NOW = 1_795_000_000_000_000
SECOND = 1_000_000
RATES = ["2/hour", "2/hour fixed", "2/calendar year", "2/hour sliding", "2/hour exact", "2 concurrent"]


class Flaky:
    """A store that is down as long as *down*; one that can append, or not."""

    def __init__(self, store: Any) -> None:
        self.down = False
        for name in ("get", "update", "delete", "touch", "append_many"):
            if hasattr(store, name):
                setattr(self, name, self._pass(getattr(store, name)))

    def _pass(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def ask(*arguments: Any, **options: Any) -> Any:
            if self.down:
                raise StoreDown("down")
            return call(*arguments, **options)

        return ask


class Fleet:
    """Limiters of processes that share a store, which is down as long as *down*; one clock for all."""

    def __init__(
        self, *rules: Rule, processes: int = 1, policy: str = "local", appends: bool = False
    ) -> None:
        self.now = NOW
        self.store: Any = Flaky(Appender() if appends else make_store("memory://"))
        self.limiters = [
            Limiter(
                rules,
                trust=Trust(),
                now=lambda: self.now,
                store=self.store,  # type: ignore[arg-type]  # what limits use of one
                on_store_error=policy,
                processes=processes,
            )
            for _ in range(processes)
        ]

    def hit(self, process: int = 0) -> Decision:
        return self.limiters[process].hit(EnvironRequest({"REMOTE_ADDR": "192.0.2.1"}))

    def admits(self, times: int = 20) -> int:
        """How many requests pass, taken in turns by all processes."""
        return [self.hit(i % len(self.limiters)).ok for i in range(times)].count(True)


@pytest.mark.parametrize("policy", ["local", "open", "closed"])
@pytest.mark.parametrize("rate", RATES)
def test_what_is_settled_while_the_store_is_down_breaks_nothing(rate: str, policy: str) -> None:
    fleet = Fleet(Rule("api", rate, charge={"2xx": -1}), policy=policy)
    fleet.store.down = True
    decision = fleet.hit()
    assert decision.ok is (policy != "closed")
    decision.charge(1)
    decision.charge_for_status(200)
    decision.refund()
    decision.release()


@pytest.mark.parametrize("appends", [False, True], ids=["swaps", "appends"])
@pytest.mark.parametrize("rate", RATES)
def test_what_was_granted_here_is_not_given_back_in_the_store(rate: str, appends: bool) -> None:
    fleet = Fleet(Rule("api", rate), appends=appends)
    assert fleet.admits() == 2
    fleet.now += SECOND  # who was refused is so long refused without the store
    fleet.store.down = True
    decision = fleet.hit()
    assert decision.ok, "the store's counts are unknown"
    fleet.store.down = False
    fleet.now += 2 * SECOND
    decision.refund()
    decision.release()
    assert fleet.admits() == 0, "the store granted it nothing"


@pytest.mark.parametrize("appends", [False, True], ids=["swaps", "appends"])
@pytest.mark.parametrize("rate", RATES)
def test_what_was_granted_here_is_given_back_here(rate: str, appends: bool) -> None:
    fleet = Fleet(Rule("api", rate), appends=appends)
    fleet.store.down = True
    granted = [fleet.hit(), fleet.hit()]
    assert [one.ok for one in granted] == [True, True]
    fleet.store.down = False
    fleet.now += 2 * SECOND
    for decision in granted:
        decision.refund()
        decision.release()
    fleet.store.down = True
    assert fleet.admits() == 2


@pytest.mark.parametrize("appends", [False, True], ids=["swaps", "appends"])
@pytest.mark.parametrize("rate", RATES)
def test_what_the_store_granted_is_not_given_back_here(rate: str, appends: bool) -> None:
    fleet = Fleet(Rule("api", rate), appends=appends)
    decision = fleet.hit()
    fleet.store.down = True
    assert fleet.admits() == 2
    decision.refund()
    decision.release()
    assert fleet.admits() == 0


@pytest.mark.parametrize("rate", [rate.replace("2", "12", 1) for rate in RATES])
def test_processes_that_are_known_share_a_limit_while_each_is_alone(rate: str) -> None:
    fleet = Fleet(Rule("api", rate, key=everybody), processes=4)
    fleet.store.down = True
    assert fleet.admits(40) == 12, "three each"


@pytest.mark.parametrize("rate", RATES)
def test_each_process_lets_one_pass_where_a_limit_is_smaller_than_their_number(rate: str) -> None:
    fleet = Fleet(Rule("api", rate), processes=4)
    fleet.store.down = True
    assert fleet.admits(40) == 4


@pytest.mark.parametrize("rate", [rate.replace("2", "12", 1) for rate in RATES])
def test_a_share_is_given_back_whole(rate: str) -> None:
    fleet = Fleet(Rule("api", rate, key=everybody), processes=4)
    fleet.store.down = True
    for decision in [fleet.hit(i % 4) for i in range(12)]:
        assert decision.ok
        decision.refund()
        decision.release()
    assert fleet.admits(40) == 12


def test_what_nobody_counted_is_given_back_nowhere() -> None:
    fleet = Fleet(Rule("api", "2/hour"), policy="open")
    fleet.store.down = True
    decision = fleet.hit()
    fleet.store.down = False
    fleet.now += 2 * SECOND
    assert fleet.admits() == 2
    decision.refund()
    assert fleet.admits() == 0


def test_a_cost_above_the_limit_does_not_pass_alone_either() -> None:
    fleet = Fleet(Rule("api", "5/hour", cost=6), processes=4)
    fleet.store.down = True
    assert fleet.hit().wait_us == NEVER


def test_a_share_costs_nothing_while_the_store_answers() -> None:
    assert Fleet(Rule("api", "12/hour"), processes=4).admits(40) == 12


def test_what_is_charged_alone_counts_as_often_as_there_are_processes() -> None:
    fleet = Fleet(Rule("api", "12/hour"), processes=4)
    fleet.store.down = True
    fleet.hit().charge(1)
    assert [fleet.hit().ok for _ in range(2)] == [True, False]


def test_a_ban_takes_as_many_refusals_as_it_says_in_each_process() -> None:
    fleet = Fleet(Rule("api", "4/hour", ban="2 in 1 hour for 1 hour"), processes=4)
    fleet.store.down = True
    found = [fleet.hit() for _ in range(4)]
    assert [one.refused.policy if one.refused else "" for one in found] == ["", "api", "api", "api-ban"]


def test_who_is_refused_without_a_look_is_told_that_it_is_not_for_him() -> None:
    fleet = Fleet(Rule("api", "2/hour", ban="2 in 1 hour for 1 hour"), policy="closed")
    fleet.store.down = True
    status, fields, body = make_answer(fleet.hit(), "", [])
    assert status == "503 Service Unavailable"
    assert ("Retry-After", "1") in fields
    assert b"#temporary-reduced-capacity" in body


def test_nothing_to_decide_is_let_pass_while_the_store_is_down() -> None:
    def ask() -> Any:
        raise StoreDown("down")

    fallback = Fallback([], "closed", max_keys=10)
    assert fallback.decide([], NOW, ask) == (-1, 0, [])
