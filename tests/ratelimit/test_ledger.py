"""Logs that everybody replays to the same answer."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import examples
from wsgistack.ratelimit.ledger import Known, Ledger, show_state
from wsgistack.ratelimit.limits import Limit
from wsgistack.ratelimit.rates import parse_rates
from wsgistack.ratelimit.rules import Rule
from wsgistack.ratelimit.table import Table

NOW = 1_795_000_000_000_000
SECOND = 1_000_000
DAY = 86_400 * SECOND
RATES = ["10/hour", "10/hour fixed", "10/hour sliding", "10/hour exact", "10 concurrent", "10/calendar day"]


def limits(*rates: str, **options: str) -> list[Limit]:
    rule = Rule("r", "1/s", **options)  # type: ignore[arg-type]  # a ban
    return [Limit(i, f"r-{i}", parse_rates(rate)[0], rule) for i, rate in enumerate(rates)]


def test_a_record_is_readable_text() -> None:
    ledger = Ledger(limits("10/hour", "5/hour exact"))
    assert ledger.record("d", NOW, "me1", [(0, 1), (1, 2)]) == b"d1795000000000000 me1 0:1 1:2;"
    assert ledger.giving(NOW, "me2", [(0, 1, 17), (1, 1, (3, 4))]) == (b"g1795000000000000 me2 0:1:17 1:1:4;")
    assert (show_state(17), show_state((3, 4))) == ("17", "3.4")


steps = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 2000), st.integers(1, 4), st.integers(0, 4)), max_size=40
)


@pytest.mark.parametrize("rate", RATES)
@settings(max_examples=examples(30), deadline=None)
@given(trace=steps)
def test_every_trace_equals_the_serial_reference(rate: str, trace: list[tuple[int, int, int, int]]) -> None:
    """Decisions, charges and refunds, by the log and by the table of one process."""
    made = limits(rate, "20/day")
    ledger, table = Ledger(made), Table([limit.counter for limit in made])
    log, now, known = b"", NOW, Known(b"", {})
    taken: list[tuple[int, object, object]] = []
    for number, (kind, passed, units, split) in enumerate(trace):
        now += passed * SECOND
        nonce = f"n{number}"
        claims = [(0, b"k", units), (1, b"k", units)]
        if kind < 2:
            log += ledger.record("d", now, nonce, [(0, units), (1, units)])
            index, wait, after = table.decide(claims, now)
            found = ledger.replay(log, nonce, known=known, settled=known)
            assert (found.index, found.wait, found.after) == (index, wait, after)
            if index < 0:
                taken.append((units, after[0], after[1]))
            if split == 0:
                known = Known(log, found.states)
            elif found.shorter is not None:
                log, known = found.shorter, Known(b"", {})
        elif kind == 2:
            log += ledger.record("c", now, nonce, [(0, units)])
            table.charge([(0, b"k", units)], now)
        elif taken:
            cost, first, second = taken.pop()
            log += ledger.giving(now, nonce, [(0, cost, first), (1, cost, second)])
            table.give_back([((0, b"k", cost), first), ((1, b"k", cost), second)], now)
    states = ledger.replay(log).states
    assert [states.get(number) for number in (0, 1)] == [table.get(number, b"k") for number in (0, 1)]


def test_a_long_log_is_shortened_to_what_it_says() -> None:
    ledger = Ledger(limits("1000/hour", "5/hour exact"))
    log = b"".join([ledger.record("d", NOW + i, f"n{i}", [(0, 1), (1, i % 2)]) for i in range(40)])
    states = ledger.replay(log).states
    known = Known(log, states)
    log += ledger.record("d", NOW + 50, "mine", [(0, 1)])
    found = ledger.replay(log, "mine", known=known, settled=known)
    assert found.shorter is not None and len(found.shorter) < 200
    again = ledger.replay(found.shorter, "mine")
    assert (again.states, again.index, again.after) == (found.states, -1, found.after)
    assert ledger.replay(log[:500], known=known, settled=known).shorter is None, "it is another log by now"


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b";",
        b"junk",
        b"junk;",
        b"d;",
        b"dx y 0:1;",
        b"d1 n 7:1;",
        b"d1 n 0;",
        b"b 0=x;",
        b"\xff\x00;",
        b"z1 n 0:1;",
    ],
)
def test_what_cannot_be_read_is_passed_over(junk: bytes) -> None:
    ledger = Ledger(limits("2/hour"))
    log = junk + (b"" if not junk or junk.endswith(b";") else b";")
    log += ledger.record("d", NOW, "mine", [(0, 2)])
    found = ledger.replay(log, "mine")
    assert (found.index, found.states) == (-1, {0: NOW + 3600 * SECOND})


def test_a_record_that_is_not_there_has_no_outcome() -> None:
    ledger = Ledger(limits("2/hour"))
    assert ledger.replay(ledger.record("d", NOW, "other", [(0, 1)]), "mine").index is None


def test_a_log_is_kept_as_long_as_it_matters() -> None:
    assert Ledger(limits("10/hour")).lives_us(NOW) == 3600 * SECOND
    assert Ledger(limits("60/hour burst 1")).lives_us(NOW) == 60 * SECOND
    assert Ledger(limits("10/hour fixed", "3/year fixed")).lives_us(NOW) == 365 * DAY
    assert Ledger(limits("10/hour exact")).lives_us(NOW) == 3600 * SECOND
    assert 3600 * SECOND < Ledger(limits("10/hour sliding")).lives_us(NOW) <= 7200 * SECOND
    assert Ledger(limits("3 concurrent")).lives_us(NOW) == 300 * SECOND


def test_a_debt_keeps_a_log_longer() -> None:
    ledger = Ledger(limits("10/hour"))
    states = ledger.replay(ledger.record("c", NOW, "n", [(0, 100)])).states
    assert ledger.ends_at(states) == NOW + 36_000 * SECOND
    assert ledger.ends_at({}) == 0
