"""The check of histories itself finds what is wrong."""

from __future__ import annotations

from tests.ratelimit.linear import Seen, find_order
from wsgistack.ratelimit.algorithms import make_counter
from wsgistack.ratelimit.rates import parse_rates

HOUR = 3_600_000_000
ONE = make_counter(parse_rates("1/hour")[0])
TWO = make_counter(parse_rates("2/hour exact")[0])


def test_decisions_that_overlap_may_stand_in_any_order() -> None:
    refused, admitted = Seen(0, 10, 1, 1, HOUR), Seen(1, 9, 1, 1, 0)
    assert find_order([refused, admitted], ONE) == [admitted, refused]


def test_a_decision_that_was_over_stands_before_the_next() -> None:
    assert find_order([Seen(0, 1, 1, 1, HOUR), Seen(2, 3, 1, 1, 0)], ONE) is None


def test_one_too_many_has_no_order() -> None:
    assert find_order([Seen(0, 9, 1, 1, 0)] * 2, ONE) is None
    assert find_order([Seen(0, 9, 1, 1, 0)] * 2, TWO) is not None
    assert find_order([Seen(0, 9, 1, 1, 0)] * 3, TWO) is None


def test_a_wrong_wait_and_a_refusal_without_reason_have_no_order() -> None:
    assert find_order([Seen(0, 1, 1, 1, 0), Seen(2, 3, 1, 1, HOUR - 1)], ONE) is None
    assert find_order([Seen(0, 1, 1, 1, HOUR)], ONE) is None
    assert find_order([], ONE) == []


def test_a_wait_may_be_too_short_where_that_is_allowed_but_never_too_long() -> None:
    for told, is_fine in ((HOUR, True), (HOUR - 1, True), (HOUR + 1, False), (0, False)):
        history = [Seen(0, 1, 1, 1, 0), Seen(2, 3, 1, 1, told)]
        assert (find_order(history, ONE, waits_are_least=True) is not None) is is_fine
