"""Microseconds that never go back."""

from wsgistack.clock import SteadyClock

SECOND_NS = 1_000_000_000


class Hands:
    """A wall clock and a monotonic one, in nanoseconds."""

    def __init__(self) -> None:
        self.wall = 1_795_000_000 * SECOND_NS
        self.monotonic = 77 * SECOND_NS

    def go(self, seconds: int) -> None:
        self.wall += seconds * SECOND_NS
        self.monotonic += seconds * SECOND_NS


def make() -> tuple[Hands, SteadyClock]:
    hands = Hands()
    return hands, SteadyClock(lambda: hands.wall, lambda: hands.monotonic)


def test_it_shows_the_wall_clock_and_goes_on_with_the_monotonic_one() -> None:
    hands, clock = make()
    assert clock() == 1_795_000_000_000_000
    hands.go(10)
    assert clock() == 1_795_000_010_000_000


def test_it_does_not_go_back_when_the_wall_clock_does() -> None:
    hands, clock = make()
    hands.wall -= 3600 * SECOND_NS
    hands.go(5)
    assert clock() == 1_795_000_005_000_000


def test_it_follows_a_machine_that_slept() -> None:
    hands, clock = make()
    hands.wall += 3600 * SECOND_NS
    hands.go(2)
    assert clock() == 1_795_003_602_000_000
    hands.go(1)
    assert clock() == 1_795_003_603_000_000


def test_small_corrections_do_not_shake_it() -> None:
    hands, clock = make()
    hands.go(2)
    hands.wall += SECOND_NS // 2
    assert clock() == 1_795_000_002_000_000
