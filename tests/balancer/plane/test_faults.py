"""The table of faults."""

import pytest

from wsgistack.balancer.plane.faults import faults


def test_every_fault_has_a_number_of_its_own_and_a_word_for_the_log() -> None:
    numbers = [number for number, _ in faults().values()]

    assert numbers == list(range(1, len(numbers) + 1))
    assert all(name.replace("_", "").isalnum() and name == name.lower() for name in faults())


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("method_invalid", 400),
        ("uri_too_long", 414),
        ("head_too_large", 431),
        ("too_many_fields", 431),
        ("chunk_invalid", 400),
        ("trailers_too_large", 431),
        ("method_refused", 405),
        ("method_too_long", 501),
        ("version_unsupported", 505),
        ("transfer_encoding_unknown", 501),
        ("expectation_unknown", 417),
        ("host_missing", 400),
        ("bare_lf", 400),
        ("length_and_encoding", 400),
        ("status_line_invalid", 502),
    ],
)
def test_a_fault_has_its_status(name: str, status: int) -> None:
    assert faults()[name][1] == status
