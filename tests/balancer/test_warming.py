"""Slow start: weights that grow."""

import pytest

from wsgistack.balancer.warming import warm_weight


@pytest.mark.parametrize(
    ("weight", "warm_from", "now", "grown"),
    [
        (1, None, 100.0, 256),
        (3, None, 100.0, 768),
        (1, 100.0, 100.0, 26),
        (1, 100.0, 100.5, 26),
        (1, 100.0, 105.0, 128),
        (4, 100.0, 105.0, 512),
        (1, 100.0, 110.0, 256),
        (1, 100.0, 999.0, 256),
        (1, 100.0, 50.0, 26),
    ],
    ids=[
        "no slow start",
        "nor with a weight",
        "a tenth at first",
        "never less",
        "half way",
        "by its weight",
        "all of it",
        "for ever",
        "a clock that was set back",
    ],
)
def test_a_weight_grows(weight: int, warm_from: float | None, now: float, grown: int) -> None:
    assert warm_weight(weight, warm_from, 10.0, now) == grown
