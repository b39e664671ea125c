"""Decisions over states in memory, plain and compiled: the same answers."""

from __future__ import annotations

import dis
import inspect
import sys
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import examples
from wsgistack.ratelimit import taking, taking_cy
from wsgistack.ratelimit.algorithms import NEVER, make_counter
from wsgistack.ratelimit.algorithms.gcra import Gcra
from wsgistack.ratelimit.rates import parse_rates
from wsgistack.ratelimit.taking import Shard

TWINS = [taking, taking_cy]
BOTH = pytest.mark.parametrize("twin", TWINS, ids=["plain", "compiled"])
NOW = 1_795_000_000_000_000
SECOND = 1_000_000
RATES = ["5/minute", "7001/second burst 9", "7/second burst 3", "3/minute exact", "4/hour fixed"]


class Stage:
    """A taker over two shards for each of *rates*, whose slow way is counted."""

    def __init__(self, twin: ModuleType, *rates: str, sweep_at: int = 100) -> None:
        counters: list[Any] = [make_counter(parse_rates(rate)[0]) for rate in rates]
        self.shards = [[Shard(sweep_at) for _ in range(2)] for _ in counters]
        self.places = 0
        self.taker = twin.Taker(
            self.shards,
            [counter.decide for counter in counters],
            [counter.numbers if isinstance(counter, Gcra) else None for counter in counters],
            self.place,
            self.get,
        )
        self.lock: Any = self.taker.lock
        self.decide: Callable[..., Any] = self.taker.decide
        self.decide_one: Callable[..., Any] = self.taker.decide_one
        self.bind: Callable[..., Any] = self.taker.bind

    def place(self, number: int, mark: int, now: int) -> tuple[dict[int, Any], int]:
        assert self.lock.locked()
        self.places += 1
        return self.shards[number][mark % 2], mark

    def get(self, number: int, key: bytes) -> Any:
        assert self.lock.locked()
        mark = hash(key) & taking.HASH_BITS
        return self.shards[number][mark % 2].get(mark)


@BOTH
def test_a_bucket_gives_its_burst_and_then_what_flows_in(twin: ModuleType) -> None:
    stage = Stage(twin, "5/minute")
    assert [stage.decide_one(0, b"k", 1, NOW)[0] for _ in range(7)] == [0] * 5 + [12 * SECOND] * 2
    assert stage.decide_one(0, b"k", 1, NOW + 12 * SECOND) == (0, NOW + 72 * SECOND)
    assert stage.decide_one(0, b"other", 6, NOW)[0] == NEVER
    assert stage.decide_one(0, b"other", 5, NOW)[0] == 0


@BOTH
@pytest.mark.parametrize("rate", ["5/minute", "7001/second burst 2", "1000000000000/second"])
def test_no_number_is_too_large(twin: ModuleType, rate: str) -> None:
    """Numbers of C suffice for nearly all; what goes beyond is counted in those of Python."""
    counter = make_counter(parse_rates(rate)[0])
    for state, now, cost in [(None, NOW, 10**18), (10**25, NOW, 1), (None, 10**30, 1), (NOW * 10**6, NOW, 0)]:
        stage = Stage(twin, rate)
        mark = hash(b"k") & taking.HASH_BITS
        if state is not None:
            stage.shards[0][mark % 2][mark] = state
        assert stage.decide_one(0, b"k", cost, now) == counter.decide(state, now, cost)


@BOTH
def test_all_claims_pass_or_none_does(twin: ModuleType) -> None:
    stage = Stage(twin, "5/minute", "1/hour", "3/minute exact")
    assert stage.decide([(0, b"k", 1), (1, b"k", 1)], NOW)[:2] == (-1, 0)
    index, wait, states = stage.decide([(0, b"k", 1), (1, b"k", 1)], NOW)
    assert (index, wait, states) == (1, 3600 * SECOND, [NOW + 12 * SECOND, NOW + 3600 * SECOND])
    assert stage.decide([(0, b"k", 1), (2, b"k", 3)], NOW)[0] == -1
    assert stage.decide([(0, b"k", 1), (2, b"k", 1)], NOW)[0] == 1
    assert stage.decide([], NOW) == (-1, 0, [])


@BOTH
def test_what_is_bound_to_steps_decides_like_their_claims(twin: ModuleType) -> None:
    stage, other = Stage(twin, *RATES), Stage(twin, *RATES)
    for steps in [
        [(0, 1)],
        [(1, 2)],
        [(0, 1), (1, 3), (2, 1)],
        [(0, 6)],
        [(2, 4)],
        [(0, 1), (3, 1)],
        [(4, 1)],
    ]:
        bound = stage.bind(steps)
        for at in range(0, 7 * SECOND, SECOND // 3):
            claims = [(number, b"k", cost) for number, cost in steps]
            assert bound(b"k", NOW + at) == other.decide(claims, NOW + at)
    assert stage.shards == other.shards


@BOTH
def test_who_is_refused_by_one_of_several_consumes_nothing(twin: ModuleType) -> None:
    stage = Stage(twin, "5/minute", "1/hour", "9/hour")
    bound = stage.bind([(0, 1), (1, 1), (2, 1)])
    assert bound(b"k", NOW)[:2] == (-1, 0)
    before = [dict(shard) for shards in stage.shards for shard in shards]
    assert [bound(b"k", NOW)[:2] for _ in range(3)] == [(1, 3600 * SECOND)] * 3
    assert [dict(shard) for shards in stage.shards for shard in shards] == before


@BOTH
def test_who_was_inside_in_the_parent_of_a_fork_is_not_waited_for(twin: ModuleType) -> None:
    stage = Stage(twin, "2/hour", "1/hour")
    bound = stage.bind([(0, 1)])
    assert bound(b"k", NOW)[0] == -1
    stage.lock.__enter__()
    stage.lock.renew()
    assert not stage.lock.locked()
    assert [bound(b"k", NOW)[:2], bound(b"k", NOW)[:2]] == [(-1, 0), (0, 1800 * SECOND)]
    assert stage.decide([(1, b"k", 1)], NOW)[:2] == (-1, 0)


def test_more_keys_than_are_remembered_are_counted_each_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taking, "KEYS_REMEMBERED", 3)
    stage = Stage(taking, "2/hour")
    bound = stage.bind([(0, 1)])
    found = [bound(b"%d" % (i % 5), NOW)[0] for i in range(15)]
    assert found == [-1] * 10 + [0] * 5
    assert len(stage.taker._marks) <= 3


@BOTH
def test_a_shard_that_is_full_is_asked_for_a_place(twin: ModuleType) -> None:
    stage = Stage(twin, "5/minute", sweep_at=0)
    stage.decide_one(0, b"k", 1, NOW)
    stage.decide([(0, b"k2", 1), (0, b"k3", 1)], NOW)
    assert stage.places >= 3
    before = stage.places
    stage.decide_one(0, b"k", 1, NOW)
    assert stage.places == before, "it has one"


@BOTH
def test_whoever_is_inside_is_waited_for(twin: ModuleType) -> None:
    stage = Stage(twin, "5/minute", "1/hour")
    done: list[int] = []
    for call in (
        lambda: stage.decide_one(0, b"k", 1, NOW),
        lambda: stage.decide([(0, b"k", 1), (1, b"k", 1)], NOW),
    ):
        with stage.lock:
            thread = threading.Thread(target=lambda call=call: done.append(len(call())))
            thread.start()
            thread.join(0.05)
            assert thread.is_alive()
        thread.join(30)
        assert not thread.is_alive()
    assert done == [2, 3]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_what_is_one_step_has_no_call_and_no_jump_back(count: int) -> None:
    """Python looks whether another thread is to run at these, and nowhere else."""
    quick: Any = Stage(taking, *RATES[:3]).taker.bind([(number, 1) for number in range(count)])
    lines = inspect.getsource(quick.__code__).splitlines()
    first = quick.__code__.co_firstlineno
    begin, end = (
        [first + at for at, line in enumerate(lines) if line.strip() == text]
        for text in ("was0 = shard0[mark]", f"shard{count - 1}[mark] = tat{count - 1}")
    )
    between = [
        one.opname
        for one in dis.get_instructions(quick)
        if one.positions is not None and begin[0] <= (one.positions.lineno or 0) <= end[0]
    ]
    assert between.count("STORE_SUBSCR") == count and len(between) > 8 * count
    assert not [name for name in between if "CALL" in name or "BACKWARD" in name or name == "RESUME"]


@pytest.mark.parametrize("has_steps", [True, False])
def test_who_leaves_a_door_opens_it_where_there_are_steps(
    has_steps: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "HAS_STEPS", has_steps)
    door = taking.Door()
    assert door.inside is not has_steps
    with door:
        assert (door.inside, door.locked()) == (True, True)
    assert (door.inside, door.locked()) == (not has_steps, False)


def test_without_steps_every_decision_takes_the_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taking, "HAS_STEPS", False)
    stage = Stage(taking, "5/minute")
    entered: list[bool] = []
    decide = stage.taker._decides[0]

    def watched(*given: Any) -> Any:
        entered.append(stage.lock.locked())
        return decide(*given)

    stage.taker._decides[0] = watched
    assert [stage.decide_one(0, b"k", 1, NOW)[0] for _ in range(6)] == [0] * 5 + [12 * SECOND]
    assert entered == [True] * 6


steps = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 40), st.integers(0, 4), st.integers(0, 3)), max_size=40
)


@settings(max_examples=examples(50), deadline=None)
@given(trace=steps)
def test_both_give_the_same_answers(trace: list[tuple[int, int, int, int]]) -> None:
    plain, compiled = (Stage(twin, *RATES, sweep_at=2) for twin in TWINS)
    now = NOW
    for kind, passed, number, who in trace:
        now += passed * SECOND // 4
        key, cost = b"k%d" % who, 1 + passed % 3
        if kind == 0:
            assert plain.decide_one(number, key, cost, now) == compiled.decide_one(number, key, cost, now)
        else:
            claims = [(one, key, cost) for one in range(number, 5 if kind == 1 else min(number + 2, 3))]
            assert plain.decide(claims, now) == compiled.decide(claims, now)
    assert plain.shards == compiled.shards


@BOTH
def test_threads_never_admit_too_many_nor_too_few(twin: ModuleType, request: pytest.FixtureRequest) -> None:
    before = sys.getswitchinterval()
    request.addfinalizer(lambda: sys.setswitchinterval(before))
    sys.setswitchinterval(1e-6)
    for round_ in range(30):
        stage = Stage(twin, "10/hour", "1000000/hour", "1000/hour exact")
        all_of_it = stage.bind([(1, 1), (0, 1)])
        admitted: list[int] = []
        barrier = threading.Barrier(8)

        def race(
            stage: Stage = stage,
            admitted: list[int] = admitted,
            barrier: threading.Barrier = barrier,
            all_of_it: Callable[..., Any] = all_of_it,
        ) -> None:
            barrier.wait()
            for i in range(12):
                if i % 4 == 3:
                    wait = all_of_it(b"k", NOW)[1]
                elif i % 3 == 0:
                    wait = stage.decide_one(0, b"k", 1, NOW)[0]
                elif i % 3 == 1:
                    wait = stage.decide([(1, b"k", 1), (0, b"k", 1)], NOW)[1]
                else:
                    wait = stage.decide([(0, b"k", 1), (2, b"k", 1)], NOW)[1]
                if wait == 0:
                    admitted.append(1)

        threads = [threading.Thread(target=race) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(admitted) == 10, f"round {round_}"
