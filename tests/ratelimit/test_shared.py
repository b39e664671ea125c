"""Limits whose states several processes share."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from wsgistack.errors import SettingError, StoreError
from wsgistack.ratelimit.algorithms import NEVER
from wsgistack.ratelimit.limits import Limit
from wsgistack.ratelimit.rates import parse_rates
from wsgistack.ratelimit.rules import Rule
from wsgistack.ratelimit.shared import SharedTable, pack, unpack
from wsgistack.ratelimit.table import Table
from wsgistack.store.url import make_store

NOW = 1_795_000_000_000_000
SECOND = 1_000_000
RATES = ["10/hour", "10/hour fixed", "10/hour sliding", "10/hour exact", "10 concurrent", "10/calendar day"]


def limits(*rates: str) -> list[Limit]:
    rule = Rule("r", "1/s")
    return [Limit(i, f"r-{i}", parse_rates(rate)[0], rule) for i, rate in enumerate(rates)]


def shared(*rates: str, store: Any = None, **options: Any) -> SharedTable:
    return SharedTable(limits(*rates), store or make_store("memory://"), **options)


@pytest.mark.parametrize("rate", RATES)
def test_a_store_counts_as_the_memory_of_a_process_does(rate: str) -> None:
    ours, reference = shared(rate), Table([limit.counter for limit in limits(rate)])
    for step in range(60):
        now = NOW + step * 100 * SECOND
        assert ours.decide_one(0, b"k", 1 + step % 3, now) == reference.decide_one(0, b"k", 1 + step % 3, now)
        if step % 7 == 0:
            for table in (ours, reference):
                table.charge([(0, b"k", 2)], now)
    assert ours.get(0, b"k") == reference.get(0, b"k")


@pytest.mark.parametrize("rate", RATES)
def test_what_is_given_back_is_there_again(rate: str) -> None:
    ours = shared(rate)
    _, taken = ours.decide_one(0, b"k", 10, NOW)
    assert ours.decide_one(0, b"k", 1, NOW)[0] > 0
    ours.give_back([((0, b"k", 10), taken)], NOW)
    assert ours.decide_one(0, b"k", 10, NOW)[0] == 0


def test_a_refused_request_consumes_nothing() -> None:
    ours = shared("10/minute", "1/hour")
    claims = [(0, b"k", 1), (1, b"k", 1)]
    assert ours.decide(claims, NOW)[:2] == (-1, 0)
    before = ours.get(0, b"k")
    for _ in range(5):
        index, wait, states = ours.decide(claims, NOW)
        assert (index, wait) == (1, 3600 * SECOND)
        assert states[1] == ours.get(1, b"k")
    assert ours.get(0, b"k") == before


@pytest.mark.parametrize("rate", RATES)
def test_who_is_refused_is_told_what_is_left_after_all_was_given_back(rate: str) -> None:
    ours = shared(rate, "1/hour")
    claims = [(0, b"k", 2), (1, b"k", 1)]
    assert ours.decide(claims, NOW)[:2] == (-1, 0)
    refused, _, states = ours.decide(claims, NOW + SECOND)
    assert refused == 1
    assert states == [ours.get(0, b"k"), ours.get(1, b"k")]
    assert limits(rate)[0].quota(states[0], NOW + SECOND)[0] == 8


def test_two_processes_share_and_two_rates_do_not() -> None:
    store = make_store("memory://")
    first, second = shared("2/hour", store=store), shared("2/hour", store=store)
    assert [table.decide_one(0, b"k", 1, NOW)[0] for table in (first, second)] == [0, 0]
    assert first.decide_one(0, b"k", 1, NOW)[0] > 0
    assert shared("3/hour", store=store).decide_one(0, b"k", 1, NOW)[0] == 0


@pytest.mark.parametrize("rate", RATES)
def test_a_clock_that_is_behind_forgives_nobody(rate: str) -> None:
    ours = shared(rate)
    waits = [ours.decide_one(0, b"k", 1, NOW - step * SECOND)[0] for step in range(100)]
    assert 9 <= waits.count(0) <= 10
    assert all(waits[20:])


def test_a_key_is_forgotten_on_request() -> None:
    ours = shared("1/hour")
    ours.decide_one(0, b"k", 1, NOW)
    assert (ours.reset(0, b"k"), ours.reset(0, b"k")) == (True, False)
    assert ours.decide_one(0, b"k", 1, NOW)[0] == 0


@pytest.mark.parametrize("text", [b"", b"junk", b"1,x", b"1.5", b"1,2", b"9" * 300_000, None])
def test_what_is_none_of_ours_counts_as_nothing(text: bytes | None) -> None:
    assert unpack(text, is_tuple=False) is None


def test_a_state_is_readable_text() -> None:
    assert (pack(17), unpack(b"17", is_tuple=False)) == (b"17", 17)
    assert (pack((3, 4)), unpack(b"3,4", is_tuple=True)) == (b"3,4", (3, 4))


class Troubled:
    """A store that is down as long as *down*; it counts how often it is asked."""

    def __init__(self) -> None:
        self.store: Any = make_store("memory://")
        self.down = True
        self.asked = 0

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            self.asked += 1
            if self.down:
                raise StoreError("down")
            return getattr(self.store, name)(*arguments, **options)

        return call


@pytest.mark.parametrize(
    ("policy", "waits"),
    [
        ("local", [0, 0, 1800 * SECOND, 1800 * SECOND]),
        ("open", [0, 0, 0, 0]),
        ("closed", [SECOND, SECOND, SECOND, SECOND]),
    ],
)
def test_trouble_of_the_store_is_not_the_clients(policy: str, waits: list[int]) -> None:
    store = Troubled()
    ours = shared("2/hour", store=store, on_store_error=policy)
    assert [ours.decide_one(0, b"k", 1, NOW)[0] for _ in range(4)] == waits
    assert (store.asked, ours.trouble) == (1, 1), "it is left alone for a second"
    store.down = False
    assert ours.decide_one(0, b"k", 1, NOW + 2 * SECOND)[0] == 0


class HalfDown:
    """A store one of whose servers is down: the one that has somebody's counts."""

    def __init__(self, key: bytes) -> None:
        self.store: Any = make_store("memory://")
        self.end = key.hex()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def update(self, key: str, *arguments: Any, **options: Any) -> Any:
        if key.endswith(self.end):
            raise StoreError("down")
        return self.store.update(key, *arguments, **options)


def test_what_was_taken_before_the_trouble_is_given_back() -> None:
    ours = shared("2/hour", "9/hour", store=HalfDown(b"other"))
    assert ours.decide([(0, b"k", 2), (1, b"other", 1)], NOW)[0] == -1, "this process decides"
    assert (ours.trouble, ours.get(0, b"k")) == (1, None)
    assert ours.decide_one(0, b"k", 2, NOW + 2 * SECOND)[0] == 0


def test_what_is_settled_without_the_store_is_settled_here() -> None:
    ours = shared("2/hour", store=Troubled())
    ours.charge([(0, b"k", 2)], NOW)
    assert ours.decide_one(0, b"k", 1, NOW)[0] > 0
    _, taken = ours.decide_one(0, b"other", 2, NOW)
    ours.give_back([((0, b"other", 2), taken)], NOW)
    assert ours.decide_one(0, b"other", 2, NOW)[0] == 0


def test_an_unknown_policy_names_the_nearest() -> None:
    with pytest.raises(SettingError, match=r"did you mean 'closed'\?"):
        shared("1/s", on_store_error="close")


def test_a_cost_beyond_the_limit_never_passes() -> None:
    assert shared("5/minute").decide_one(0, b"k", 6, NOW)[0] == NEVER


@pytest.mark.parametrize("rate", RATES)
def test_threads_never_admit_too_many(rate: str, request: pytest.FixtureRequest) -> None:
    before = sys.getswitchinterval()
    request.addfinalizer(lambda: sys.setswitchinterval(before))
    sys.setswitchinterval(1e-6)
    for round_ in range(5):
        ours = shared(rate, "1000000/hour")
        admitted: list[int] = []
        barrier = threading.Barrier(8)

        def race(
            ours: SharedTable = ours, admitted: list[int] = admitted, barrier: threading.Barrier = barrier
        ) -> None:
            barrier.wait()
            for _ in range(10):
                if ours.decide([(1, b"k", 1), (0, b"k", 1)], NOW)[0] < 0:
                    admitted.append(1)

        threads = [threading.Thread(target=race) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(admitted) == 10, f"round {round_}"
