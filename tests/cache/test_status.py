"""Tests of what Cache-Status says."""

from __future__ import annotations

from typing import get_args

import pytest

from wsgistack.cache.status import Forwarded, forwarded, refused
from wsgistack.cache.storing import REASONS


@pytest.mark.parametrize("why", get_args(Forwarded))
def test_what_is_remembered_of_a_refusal_is_what_would_be_said(why: Forwarded) -> None:
    for _ in range(2):  # made, and remembered
        for detail in (*REASONS, "private:application", ""):
            assert refused(why, detail) == forwarded(why, detail=detail)


def test_what_applications_call_their_refusals_does_not_fill_memory() -> None:
    for at in range(1000):
        refused("uri-miss", f"private:reason-{at}")
    assert refused.cache_info().currsize <= 256
