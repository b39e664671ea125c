"""Limits in a store that can append: one round trip a decision."""

from __future__ import annotations

import sys
import threading
from typing import Any

import pytest

from tests.ratelimit.appending import Appender
from wsgistack.ratelimit.algorithms import NEVER
from wsgistack.ratelimit.clients import Trust
from wsgistack.ratelimit.journal import MOST_DENIED, JournalTable
from wsgistack.ratelimit.limiter import Limiter
from wsgistack.ratelimit.limits import Limit
from wsgistack.ratelimit.rates import parse_rates
from wsgistack.ratelimit.rules import Rule
from wsgistack.ratelimit.table import Table
from wsgistack.wsgi import EnvironRequest

NOW = 1_795_000_000_000_000
SECOND = 1_000_000
RATES = ["10/hour", "10/hour fixed", "10/hour sliding", "10/hour exact", "10 concurrent", "10/calendar day"]


def limits(*rates: str, apart: bool = False) -> list[Limit]:
    """Return limits of one rule, or of one each."""
    rules = [Rule(f"r{i if apart else ''}", "1/s") for i in range(len(rates))]
    own = [rules[i if apart else 0] for i in range(len(rates))]
    return [Limit(i, f"r-{i}", parse_rates(rate)[0], own[i]) for i, rate in enumerate(rates)]


def journal(*rates: str, store: Any = None, apart: bool = False, **options: Any) -> JournalTable:
    return JournalTable(limits(*rates, apart=apart), store or Appender(), **options)


@pytest.mark.parametrize("rate", RATES)
def test_a_journal_counts_as_the_memory_of_a_process_does(rate: str) -> None:
    ours, reference = journal(rate), Table([limit.counter for limit in limits(rate)])
    for step in range(60):
        now, cost = NOW + step * 100 * SECOND, 1 + step % 3
        assert ours.decide_one(0, b"k", cost, now) == reference.decide_one(0, b"k", cost, now)
        if step % 7 == 0:
            for table in (ours, reference):
                table.charge([(0, b"k", 2)], now)
    assert ours.get(0, b"k") == reference.get(0, b"k")


def test_each_decision_is_one_round_trip_whatever_it_is_about() -> None:
    store = Appender()
    ours = journal("100/minute", "5/second", "3/day", store=store)
    for step in range(3):
        ours.decide([(number, b"k", 1) for number in range(3)], NOW + step * SECOND)
    assert store.trips == 3
    apart = journal("100/minute", "5/second", store=store, apart=True)
    apart.decide([(0, b"k", 1), (1, b"k", 1)], NOW)
    assert store.trips == 4


def test_who_is_refused_is_refused_here_until_it_could_pass() -> None:
    store = Appender()
    ours = journal("5/second", store=store)
    waits = [ours.decide_one(0, b"k", 1, NOW + i)[0] for i in range(1000)]
    assert (waits.count(0), store.trips) == (5, 6)
    assert waits[5:] == [200_000 - i for i in range(5, 1000)], "and is told the truth"
    assert ours.decide_one(0, b"k", 1, NOW + 199_999)[0] == 1
    assert ours.decide_one(0, b"k", 1, NOW + 200_000)[0] == 0
    assert store.trips == 7


def test_a_refusal_is_believed_for_a_second_at_most() -> None:
    store = Appender()
    first, second = journal("1/hour", store=store), journal("1/hour", store=store)
    _, taken = first.decide_one(0, b"k", 1, NOW)
    assert second.decide_one(0, b"k", 1, NOW)[0] == 3600 * SECOND
    first.give_back([((0, b"k", 1), taken)], NOW)
    assert second.decide_one(0, b"k", 1, NOW + SECOND - 1)[0] == 3599 * SECOND + 1
    assert second.decide_one(0, b"k", 1, NOW + SECOND)[0] == 0


def test_what_is_given_back_here_is_seen_here_at_once() -> None:
    ours = journal("1/hour")
    _, taken = ours.decide_one(0, b"k", 1, NOW)
    assert ours.decide_one(0, b"k", 1, NOW)[0] > 0
    ours.give_back([((0, b"k", 1), taken)], NOW)
    assert ours.decide_one(0, b"k", 1, NOW)[0] == 0


def test_a_smaller_cost_is_asked_about_and_a_full_house_too() -> None:
    ours = journal("10/hour", "2 concurrent", apart=True)
    assert ours.decide_one(0, b"k", 8, NOW)[0] == 0
    assert ours.decide_one(0, b"k", 5, NOW)[0] > 0
    assert ours.decide_one(0, b"k", 2, NOW)[0] == 0
    assert ours.decide_one(1, b"k", 2, NOW)[0] == 0
    assert ours.decide_one(1, b"k", 1, NOW)[0] > 0
    assert len(ours._denied) == 1, "a place may be free at any moment"


def test_a_known_refusal_tells_of_the_other_limits_too() -> None:
    ours = journal("10/hour", "1/day")
    claims = [(0, b"k", 1), (1, b"k", 1)]
    ours.decide(claims, NOW)
    asked, known = ours.decide(claims, NOW), ours.decide(claims, NOW)
    assert asked == known
    assert ours.decide([(1, b"k", 1)], NOW) == (0, 86_400 * SECOND, [asked[2][1]])


def test_the_memory_for_refusals_has_an_end() -> None:
    ours = journal("1/hour")
    for i in range(MOST_DENIED + 50):
        key = i.to_bytes(4, "big")
        ours._deny([(0, key, 1)], 0, SECOND, NOW, [1])
    assert len(ours._denied) == MOST_DENIED
    ours._deny([(0, b"later", 1)], 0, SECOND, NOW + SECOND, [1])
    assert len(ours._denied) == 1


def test_what_one_rule_granted_is_given_back_when_another_refuses() -> None:
    ours = journal("10/minute", "1/hour", apart=True)
    claims = [(0, b"k", 1), (1, b"k", 1)]
    assert ours.decide(claims, NOW)[:2] == (-1, 0)
    before = ours.get(0, b"k")
    for step in range(5):
        assert ours.decide(claims, NOW)[:2] == (1, 3600 * SECOND), step
        ours._denied.clear()
    assert ours.get(0, b"k") == before


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("narrow", [0, 1])
def test_who_is_refused_is_told_what_is_left_after_all_was_given_back(rate: str, narrow: int) -> None:
    """Whichever of both rules refuses, and also by who refuses without asking, and by one who sees it anew."""
    store, rates = Appender(), [rate, rate]
    rates[narrow] = "1/hour"
    ours = journal(*rates, store=store, apart=True)
    claims = [(0, b"k", 2), (1, b"k", 2)]
    claims[narrow] = (narrow, b"k", 1)
    assert ours.decide(claims, NOW)[:2] == (-1, 0)
    for table in (ours, ours, journal(*rates, store=store, apart=True)):
        trips = store.trips
        refused, _, states = table.decide(claims, NOW + SECOND)
        assert (refused, store.trips - trips <= 2) == (narrow, True)
        assert states == [ours.get(0, b"k"), ours.get(1, b"k")]
        wide = limits(*rates)[1 - narrow]
        assert wide.quota(states[1 - narrow], NOW + SECOND)[0] == 8


def test_who_is_refused_is_told_what_others_took_before_all_was_given_back() -> None:
    store = Appender()
    ours, other = (journal("10/hour", "1/hour", store=store, apart=True) for _ in range(2))
    claims = [(0, b"k", 2), (1, b"k", 1)]
    ours.decide(claims, NOW)
    store.between = lambda: other.decide_one(0, b"k", 5, NOW)  # when it refused, before it gives back
    _, _, states = ours.decide(claims, NOW)
    assert limits("10/hour")[0].quota(states[0], NOW)[0] == 3
    assert states == [ours.get(0, b"k"), ours.get(1, b"k")]


def test_a_log_stays_short_whoever_writes_it() -> None:
    store = Appender()
    tables = [journal("100000/hour", store=store) for _ in range(3)]
    longest = 0
    for step in range(600):
        assert tables[step % 7 % 3].decide_one(0, b"k", 1, NOW + step * 10_000)[0] == 0  # 100 a second
        longest = max(longest, len(store.get(tables[0]._prefixes[0] + b"k".hex()) or b""))
    assert longest < 6000  # a second's records are about 4 kB
    assert store.trips == 600
    assert tables[0].get(0, b"k") == tables[2].get(0, b"k")


def test_a_debt_is_kept_longer_than_the_window() -> None:
    store = Appender()
    ours = journal("10/hour", store=store)
    ours.charge([(0, b"k", 100)], NOW)
    touched: list[float] = []
    touch = store.touch
    store.touch = lambda key, ttl_s: touched.append(ttl_s) or touch(key, ttl_s)  # type: ignore[method-assign,func-returns-value]
    assert ours.decide_one(0, b"k", 1, NOW)[0] == 32_760 * SECOND
    assert touched == [36_002.0]


def test_a_key_is_forgotten_on_request() -> None:
    ours = journal("1/hour")
    ours.decide_one(0, b"k", 1, NOW)
    ours.decide_one(0, b"k", 1, NOW)
    assert (ours.reset(0, b"k"), ours.reset(0, b"k")) == (True, False)
    assert ours.decide_one(0, b"k", 1, NOW)[0] == 0


def test_two_rates_do_not_share() -> None:
    store = Appender()
    assert journal("1/hour", store=store).decide_one(0, b"k", 1, NOW)[0] == 0
    assert journal("1/hour", store=store).decide_one(0, b"k", 1, NOW)[0] > 0
    assert journal("2/hour", store=store).decide_one(0, b"k", 1, NOW)[0] == 0


def test_a_cost_beyond_the_limit_never_passes() -> None:
    ours = journal("5/minute")
    assert ours.decide_one(0, b"k", 6, NOW)[0] == NEVER
    assert ours.decide_one(0, b"k", 5, NOW)[0] == 0


def test_a_ban_is_shared_and_a_counted_refusal_too() -> None:
    store = Appender()
    rules = [
        Rule("login", "1/minute", ban="3 in 1 hour for 10 minutes"),
        Rule("slow", "5/s", count_refused=True),
    ]
    workers = [Limiter(rules, trust=Trust(), now=lambda: NOW, store=store) for _ in range(2)]
    request = EnvironRequest({"REMOTE_ADDR": "192.0.2.1"})
    refused = [workers[i % 2].hit(request).refused for i in range(6)]
    assert [limit and limit.policy for limit in refused] == [
        None, "login", "login", "login", "login-ban", "login-ban",
    ]  # fmt: skip


@pytest.mark.parametrize("rate", RATES)
def test_a_record_that_another_thread_has_seen_already_is_counted_once(rate: str) -> None:
    """The other one appended behind it, read, and said what there is, before who wrote it had his answer."""
    store = Appender()
    ours, reference = journal(rate, store=store), journal(rate)
    quicker: list[Any] = []
    store.between = lambda: quicker.append(ours.decide_one(0, b"k", 1, NOW))
    slower = ours.decide_one(0, b"k", 1, NOW)
    assert [slower, *quicker] == [reference.decide_one(0, b"k", 1, NOW) for _ in range(2)]
    assert store.trips == 2
    assert [ours.decide_one(0, b"k", 1, NOW)[0] == 0 for _ in range(9)] == [True] * 8 + [False]


@pytest.mark.parametrize("rate", RATES)
def test_threads_never_admit_too_many_nor_too_few(rate: str, request: pytest.FixtureRequest) -> None:
    before = sys.getswitchinterval()
    request.addfinalizer(lambda: sys.setswitchinterval(before))
    sys.setswitchinterval(1e-6)
    for round_ in range(5):
        ours = journal(rate, "1000000/hour")
        admitted: list[int] = []
        barrier = threading.Barrier(8)

        def race(
            ours: JournalTable = ours, admitted: list[int] = admitted, barrier: threading.Barrier = barrier
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


def test_who_stands_still_between_append_and_read_is_counted_once() -> None:
    """Others shorten the log meanwhile, but never what is as young as his record."""
    store = Appender()
    slow, quick = journal("1000/hour", store=store), journal("1000/hour", store=store)
    for step in range(30):
        assert quick.decide_one(0, b"k", 1, NOW + step * SECOND)[0] == 0

    def many() -> None:
        for step in range(40):
            assert quick.decide_one(0, b"k", 1, NOW + 30 * SECOND + step * 5000)[0] == 0

    store.between = many
    trips = store.trips
    assert slow.decide_one(0, b"k", 1, NOW + 30 * SECOND)[0] == 0
    assert store.trips == trips + 1 + 40
    log = store.get(slow._prefixes[0] + b"k".hex())
    assert log is not None and log.startswith(b"b "), "it was shortened meanwhile"
