"""How long something takes, as operators read it."""

import pytest

from wsgistack.balancer.durations import show_seconds


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (31_536_000, "31536000"),
        (7200, "7200"),
        (100.4, "100"),
        (99.95, "100"),
        (99.94, "99.9"),
        (12, "12"),
        (1.5, "1.5"),
        (0.0123, "0.0123"),
        (0.0004, "0.001"),
        (0, "0.001"),
    ],
)
def test_seconds_are_written_without_an_exponent(seconds: float, shown: str) -> None:
    assert show_seconds(seconds) == shown
