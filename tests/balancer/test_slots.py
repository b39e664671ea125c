"""Rows of the scoreboard."""

import pytest

from tests.balancer.stage import FakeStats
from wsgistack.balancer.slots import Slots
from wsgistack.errors import CommandError


def nobody() -> set[str]:
    return set()


def test_an_address_keeps_its_row() -> None:
    slots = Slots(FakeStats())
    for address in ("a", "b", "a"):
        assert slots.take(address, in_use=nobody) is None
    assert (slots["a"], slots["b"]) == (0, 1)


def test_the_row_that_is_out_longest_is_given_away_and_reset() -> None:
    stats = FakeStats()
    slots = Slots(stats, limit=2)
    for address in ("a", "b", "a"):
        slots.take(address, in_use=nobody)
    assert slots.take("c", in_use=nobody) == "b"
    assert (slots["c"], stats.resets) == (1, [1])
    assert slots.rows() == {"a": 0, "c": 1}


def test_a_row_with_requests_in_flight_is_kept() -> None:
    stats = FakeStats()
    slots = Slots(stats, limit=2)
    slots.take("a", in_use=nobody)
    slots.take("b", in_use=nobody)
    stats.node(0)["in_flight"] = 1
    assert slots.take("c", in_use=nobody) == "b"


def test_when_all_rows_are_in_use_the_address_is_refused() -> None:
    slots = Slots(FakeStats(), limit=1)
    slots.take("a", in_use=nobody)
    with pytest.raises(CommandError, match="all 1 places for node addresses are taken"):
        slots.take("b", in_use=lambda: {"a"})
