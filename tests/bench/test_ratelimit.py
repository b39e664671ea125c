"""What the bench of the rate limiter counts."""

from __future__ import annotations

import pytest

from bench.ratelimit import round_trips


@pytest.mark.live
def test_a_decision_asks_memcached_once_and_seldom_under_abuse() -> None:
    passing, abused = round_trips()
    assert passing == 1
    assert abused <= 0.35
