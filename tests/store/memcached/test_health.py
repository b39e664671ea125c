"""The breaker and a wait in turns, on a clock of numbers."""

from __future__ import annotations

import pytest

from wsgistack.store.memcached.health import Breaker, Turns


def make_breaker() -> Breaker:
    """Return a breaker whose spread is none: a random number of 0.5."""
    return Breaker(lambda: 0.5)


def bring_back(breaker: Breaker, now: float) -> float:
    """Probe well whenever it is due, close the breaker, and return when that was."""
    while True:
        now = max(now, breaker.next_probe_at)
        if breaker.probed(True, now):
            breaker.close(now)
            return now


def test_one_failure_opens_it_for_everybody() -> None:
    breaker = make_breaker()
    assert (breaker.is_open, breaker.failed(100.0), breaker.is_open) == (False, True, True)
    assert breaker.failed(100.1) is False
    assert breaker.opened_at == 100.0


def test_three_good_probes_in_a_row_prove_the_node() -> None:
    breaker = make_breaker()
    breaker.failed(0.0)
    assert [breaker.probed(good, 1.0) for good in (True, True, False, True, True, True)] == [
        *(False, False, False),
        *(False, False, True),
    ]


def test_a_dead_node_is_probed_less_and_less_down_to_once_a_second() -> None:
    breaker = make_breaker()
    breaker.failed(0.0)
    waits = []
    for _ in range(9):
        breaker.probed(False, 0.0)
        waits.append(breaker.next_probe_at)
    assert waits == [0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.0, 1.0, 1.0]


def test_a_false_alarm_is_over_after_three_quick_probes() -> None:
    breaker = make_breaker()
    breaker.failed(0.0)
    assert bring_back(breaker, 0.0) == pytest.approx(0.03)


def test_a_node_that_flaps_has_to_prove_itself_for_longer_each_time() -> None:
    breaker = make_breaker()
    now, times = 0.0, []
    for _ in range(10):
        breaker.failed(now)
        back = bring_back(breaker, now)
        times.append(round(back - now, 3))
        now = back + 1.0
    assert times == [0.03, 0.05, 0.09, 0.17, 0.33, 0.65, 1.29, 2.57, 2.57, 2.57]


def test_after_a_minute_of_good_service_all_is_forgotten() -> None:
    breaker = make_breaker()
    now = 0.0
    for _ in range(4):
        breaker.failed(now)
        now = bring_back(breaker, now) + 1.0
    breaker.failed(now + 61.0)
    assert bring_back(breaker, now + 61.0) == pytest.approx(now + 61.03)


def test_probes_are_spread_by_a_fifth() -> None:
    for random, due in [(0.0, 0.008), (1.0, 0.012)]:
        breaker = Breaker(lambda random=random: random)  # type: ignore[misc]  # bound here
        breaker.failed(0.0)
        assert breaker.next_probe_at == pytest.approx(due)


@pytest.mark.parametrize(
    ("seconds", "turn_s", "took", "over"),
    [
        pytest.param(0.4, 0.1, [0.1, 0.1, 0.1, 0.1], [False, False, False, True], id="in four turns"),
        pytest.param(0.015, 0.005, [0.008, 0.008, 0.008], [False, False, True], id="of 5 ms at least"),
        pytest.param(0.002, 0.002, [0.002], [True], id="shorter than that"),
        pytest.param(
            0.4, 0.1, [0.1, 0.1, 0.1, 2.0, 0.1], [False] * 4 + [True], id="what stood still waits once more"
        ),
        pytest.param(
            0.4, 0.1, [2.0, 0.1, 2.0, 0.1, 0.1, 0.1], [False] * 5 + [True], id="whenever it stood still"
        ),
        pytest.param(0.4, 0.1, [2.0] * 8, [False] * 7 + [True], id="but not for ever"),
    ],
)
def test_a_wait_ends_after_its_turns_and_a_stall_is_none(
    seconds: float, turn_s: float, took: list[float], over: list[bool]
) -> None:
    turns = Turns(seconds)
    assert turns.turn_s == pytest.approx(turn_s)
    assert [turns.passed(one) for one in took] == over
