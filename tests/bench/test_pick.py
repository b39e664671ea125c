"""The measure of a choice runs for every algorithm and leaves no place taken."""

import pytest

from bench.pick import FORMS, measure
from wsgistack.balancer.algorithms import ALGORITHMS


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("algorithm", ALGORITHMS.names())
def test_a_choice_takes_time(algorithm: str, form: str) -> None:
    assert 0.0 < measure(algorithm, 3, form, runs=1, picks=20_000) < 1e6
