"""Microseconds that never go back, plain and compiled."""

import time
from types import ModuleType
from typing import Any

import pytest

from wsgistack import clock, clock_cy

TWINS = [clock, clock_cy]
BOTH = pytest.mark.parametrize("twin", TWINS, ids=["plain", "compiled"])
SECOND_NS = 1_000_000_000


class Hands:
    """A wall clock and a monotonic one, in nanoseconds."""

    def __init__(self) -> None:
        self.wall = 1_795_000_000 * SECOND_NS
        self.monotonic = 77 * SECOND_NS

    def go(self, seconds: int) -> None:
        self.wall += seconds * SECOND_NS
        self.monotonic += seconds * SECOND_NS


def make(twin: ModuleType) -> tuple[Hands, Any]:
    hands = Hands()
    return hands, twin.SteadyClock(lambda: hands.wall, lambda: hands.monotonic)


@BOTH
def test_it_shows_the_wall_clock_and_goes_on_with_the_monotonic_one(twin: ModuleType) -> None:
    hands, now = make(twin)
    assert now() == 1_795_000_000_000_000
    hands.go(10)
    assert now() == 1_795_000_010_000_000


@BOTH
def test_it_does_not_go_back_when_the_wall_clock_does(twin: ModuleType) -> None:
    hands, now = make(twin)
    hands.wall -= 3600 * SECOND_NS
    hands.go(5)
    assert now() == 1_795_000_005_000_000


@BOTH
def test_it_follows_a_machine_that_slept(twin: ModuleType) -> None:
    hands, now = make(twin)
    hands.wall += 3600 * SECOND_NS
    hands.go(2)
    assert now() == 1_795_003_602_000_000
    hands.go(1)
    assert now() == 1_795_003_603_000_000


@BOTH
def test_small_corrections_do_not_shake_it(twin: ModuleType) -> None:
    hands, now = make(twin)
    hands.go(2)
    hands.wall += SECOND_NS // 2
    assert now() == 1_795_000_002_000_000


@BOTH
def test_by_itself_it_shows_the_time_of_this_machine(twin: ModuleType) -> None:
    now = twin.SteadyClock()
    seen = [now(), now.read(), now()]
    assert seen == sorted(seen)
    assert abs(seen[-1] - time.time_ns() // 1000) < 600_000_000, (
        "the wall may be set meanwhile, but not by as much"
    )
