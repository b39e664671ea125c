"""States in the memory of one process."""

from __future__ import annotations

import threading

import pytest

from wsgistack.ratelimit.algorithms import NEVER, make_counter
from wsgistack.ratelimit.rates import parse_rates
from wsgistack.ratelimit.table import SHARD_KEYS, Table

NOW = 1_795_000_000_000_000
SECOND = 1_000_000


def table(*rates: str, max_keys: int = 100_000) -> Table:
    return Table([make_counter(parse_rates(rate)[0]) for rate in rates], max_keys=max_keys)


def key(number: int) -> bytes:
    return number.to_bytes(8, "big")


def test_one_claim_is_decided_alike_by_both_ways() -> None:
    one, many = table("2/minute"), table("2/minute")
    for now in (NOW, NOW, NOW + 1, NOW + 31 * SECOND):
        wait, state = one.decide_one(0, b"k", 1, now)
        index, wait_of_many, states = many.decide([(0, b"k", 1)], now)
        assert (wait, [state]) == (wait_of_many, states)
        assert index == (0 if wait else -1)


def test_all_claims_pass_or_none_does() -> None:
    limits = table("10/minute", "1/hour")
    claims = [(0, b"k", 1), (1, b"k", 1)]
    assert limits.decide(claims, NOW)[:2] == (-1, 0)
    for _ in range(20):
        index, wait, states = limits.decide(claims, NOW)
        assert (index, wait) == (1, 3600 * SECOND)
        assert states == [limits.get(0, b"k"), limits.get(1, b"k")]
    assert make_counter(parse_rates("10/minute")[0]).quota(limits.get(0, b"k"), NOW)[0] == 9


def test_a_cost_beyond_the_limit_never_passes() -> None:
    assert table("5/minute").decide([(0, b"k", 6)], NOW)[:2] == (0, NEVER)


def test_keys_do_not_share() -> None:
    limits = table("1/minute")
    assert [limits.decide_one(0, key(i), 1, NOW)[0] for i in range(1000)] == [0] * 1000
    assert all(limits.decide_one(0, key(i), 1, NOW)[0] for i in range(1000))


def test_what_has_ended_makes_room() -> None:
    limits = table("1/second", max_keys=590)
    for i in range(100_000):
        assert limits.decide_one(0, key(i), 1, NOW + i * 10_000)[0] == 0
    assert len(limits) <= 400, "a hundred keys live at any time; a sweep comes at twice what was left"


def test_a_full_table_forgives_nobody() -> None:
    limits = table("5/hour", max_keys=590)
    for _ in range(5):
        assert limits.decide_one(0, b"blocked", 1, NOW)[0] == 0
    flood = [limits.decide_one(0, key(i), 1, NOW)[0] for i in range(20_000)]
    assert limits.decide_one(0, b"blocked", 1, NOW)[0] > 0
    assert len(limits) == SHARD_KEYS
    assert flood.count(0) <= SHARD_KEYS + 256 * 5, "the others share 256 entries"
    assert all(flood[-1000:])


def test_shared_entries_are_read_and_settled_where_they_are_counted() -> None:
    limits = table("5/hour", max_keys=590)
    for i in range(20_000):
        limits.decide_one(0, key(i), 1, NOW)
    counter = make_counter(parse_rates("5/hour")[0])
    assert counter.quota(limits.get(0, b"new"), NOW)[0] == 0
    limits.charge([(0, b"new", 1)], NOW)
    assert len(limits) == SHARD_KEYS


def test_a_key_is_forgotten_on_request() -> None:
    limits = table("1/hour")
    limits.decide_one(0, b"k", 1, NOW)
    assert limits.reset(0, b"k") is True
    assert limits.reset(0, b"k") is False
    assert limits.decide_one(0, b"k", 1, NOW)[0] == 0


def test_what_is_given_back_whole_leaves_nothing() -> None:
    limits = table("5/hour")
    _, state = limits.decide_one(0, b"k", 2, NOW)
    limits.give_back([((0, b"k", 2), state)], NOW)
    assert (limits.get(0, b"k"), len(limits)) == (None, 0)


@pytest.mark.parametrize(
    "rate", ["10/hour", "10/hour fixed", "10/hour sliding", "10/hour exact", "10 concurrent"]
)
def test_threads_never_admit_too_many(rate: str, request: pytest.FixtureRequest) -> None:
    import sys

    before = sys.getswitchinterval()
    request.addfinalizer(lambda: sys.setswitchinterval(before))
    sys.setswitchinterval(1e-6)
    for round_ in range(20):
        limits = table(rate, "1000000/hour")
        admitted: list[int] = []
        barrier = threading.Barrier(8)

        def race(
            limits: Table = limits, admitted: list[int] = admitted, barrier: threading.Barrier = barrier
        ) -> None:
            barrier.wait()
            for i in range(10):
                wait = (
                    limits.decide_one(0, b"k", 1, NOW)[0]
                    if i % 2
                    else limits.decide([(0, b"k", 1), (1, b"k", 1)], NOW)[1]
                )
                if wait == 0:
                    admitted.append(1)

        threads = [threading.Thread(target=race) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(admitted) == 10, f"round {round_}"


def test_a_table_goes_on_with_the_limits_of_another_and_its_lock() -> None:
    before = table("2/hour", "1/hour")
    counters = [make_counter(rate) for rate in parse_rates("1/second; 2/hour")]
    after = Table(counters, before=before, numbers=[None, 0])
    assert before.decide_one(0, b"k", 1, 0)[0] == 0
    assert after.decide_one(1, b"k", 1, 0)[0] == 0
    assert (before.decide_one(0, b"k", 1, 0)[0], after.decide_one(1, b"k", 1, 0)[0]) == (1_800_000_000,) * 2
    after.forked()
    assert before._lock is after._lock
    before.reset(0, b"k")
    assert after.get(1, b"k") is None
