"""Barrier races, a short form of them."""

from __future__ import annotations

import pytest

from bench.races import ROOM, STORES, Crowd, run_all, show

FEW = Crowd(processes=3, asks=2, threads=8, pipeline=20)


@pytest.mark.live
@pytest.mark.parametrize(
    ("store", "crowd"),
    [*[(store, FEW) for store in STORES], ("memcached", FEW._replace(pipeline=1))],
    ids=[*STORES, "memcached, one by one"],
)
def test_every_round_admits_as_many_as_there_is_room_for(store: str, crowd: Crowd) -> None:
    with STORES[store]() as url:
        told = run_all(url, "3/hour", 150, crowd)
    assert [sum(each) for each in zip(*told, strict=True)] == [ROOM] * 150


def test_a_row_tells_what_was_granted_too_often_and_too_seldom() -> None:
    told = [bytes([3, 2, 1, 1, 0]), bytes([0, 2, 1, 2, 0])]
    row = show("shm", "3/hour", Crowd(processes=2, asks=4), told, 1.6)
    assert row == "| shm | 3/hour | 5 | 40 | 12 | 1 | 2 | 2 |"
