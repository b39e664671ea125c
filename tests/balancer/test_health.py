"""One node's health, by the table."""

import pytest

from wsgistack.balancer.health import NodeHealth
from wsgistack.balancer.model import HealthCheck

CHECK = HealthCheck("tcp", "127.0.0.1:8001", "/", "", ((200, 399),), 1.0, 1.0, fall=3, rise=2)


@pytest.mark.parametrize(
    ("results", "state"),
    [
        ("", "unchecked"),
        ("+", "up"),
        ("--", "unchecked"),
        ("---", "down"),
        ("--+", "up"),
        ("+--", "up"),
        ("+---", "down"),
        ("+--+--", "up"),
        ("----", "down"),
        ("---+", "down"),
        ("---++", "up"),
        ("---+-+", "down"),
        ("---+-++", "up"),
        ("---++--", "up"),
        ("---++---", "down"),
    ],
)
def test_results_in_a_row_change_the_state(results: str, state: str) -> None:
    health = NodeHealth()
    for now, result in enumerate(results):
        health = health.seen(result == "+", CHECK, float(now))
    assert health.state == state


def test_only_a_node_that_is_down_is_left_out() -> None:
    assert NodeHealth().is_up
    assert NodeHealth("up").is_up
    assert not NodeHealth("down").is_up


@pytest.mark.parametrize(
    ("now", "due"),
    [(10.0, 1.0), (10.25, 0.75), (11.0, 0.0), (99.0, 0.0), (5.0, 1.0)],
    ids=["at once after", "in between", "due", "overdue", "the clock was set back"],
)
def test_a_check_is_due_an_interval_after_the_last(now: float, due: float) -> None:
    assert NodeHealth().seen(True, CHECK, 10.0).due(CHECK, now) == due


def test_the_first_check_is_due_at_once() -> None:
    assert NodeHealth().due(CHECK, 10.0) == 0.0
