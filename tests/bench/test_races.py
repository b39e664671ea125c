"""Barrier races, a short form of them."""

from __future__ import annotations

import pytest

from bench.races import STORES, run_all


@pytest.mark.live
@pytest.mark.parametrize("store", list(STORES))
def test_every_round_admits_as_many_as_there_is_room_for(store: str) -> None:
    with STORES[store]() as url:
        assert run_all(url, "3/hour", 150, 3, 2) == [3] * 150
