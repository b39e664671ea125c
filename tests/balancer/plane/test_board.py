"""The scoreboard: sums over the workers, gauges of the dead, counters that can be reset."""

import os

import pytest

from wsgistack.balancer.outside import Outcomes
from wsgistack.balancer.plane.board import Board, time_once


def test_a_new_board_counts_nothing() -> None:
    board = Board.create(2)
    node = board.node(0)
    assert node["in_flight"] == node["attempts"] == node["requests"] == 0
    assert node["responsecodes"] == {}
    assert board.service(0)["responses"] == {1: 0, 2: 0, 3: 0, 4: 0, 5: 0}
    board.close()


def test_an_attached_board_is_the_same_memory() -> None:
    board = Board.create(3)
    other = Board.attach(os.dup(board.fd))
    assert other.workers == 3
    assert other.totals() == {"requests": 0, "refused": 0}
    other.close()
    board.close()


@pytest.mark.parametrize("workers", [0, -1, 65])
def test_an_impossible_number_of_workers_is_refused(workers: int) -> None:
    with pytest.raises(ValueError, match="is not between 1 and 64"):
        Board.create(workers)


@pytest.mark.parametrize("slot", [-1, 1025])
def test_a_slot_outside_of_the_board_is_refused(slot: int) -> None:
    board = Board.create(1)
    with pytest.raises(IndexError, match="is not below 1025"):
        board.node(slot)
    board.close()


def test_something_else_is_not_taken_for_a_board() -> None:
    fd = os.memfd_create("not-a-board")
    os.ftruncate(fd, 8192)
    with pytest.raises(ValueError, match="wrong magic"):
        Board.attach(fd)
    os.close(fd)


def test_a_board_of_another_size_is_not_read_as_ours() -> None:
    board = Board.create(2)
    os.ftruncate(board.fd, os.fstat(board.fd).st_size + 8)
    with pytest.raises(ValueError, match="bytes for 2 workers, made by another version"):
        Board.attach(board.fd)
    board.close()


def test_a_new_board_knows_no_outcome() -> None:
    board = Board.create(2)
    assert board.outcomes([0, 1023]) == [Outcomes()] * 2
    assert board.outcomes([]) == []
    with pytest.raises(IndexError, match="slot 1024 is not below 1024"):
        board.outcomes([1024])
    board.close()


SECOND = 1_000_000


@pytest.mark.parametrize(
    ("latency_ms", "idle_s", "taken_ms", "after_ms"),
    [
        (0.0, 0.0, 5.0, 5.0),
        (10.0, 0.001, 10.0, 10.0),
        (10.0, 0.001, 15.0, 15.0),
        (10.0, 0.001, 400.0, 20.0),
        (100.0, 5.0, 0.001, 50.0005),
        (100.0, 0.0, 1.0, 100.0),
        (100.0, 3600.0, 1.0, 6.8235294),
        (59_000.0, 1.0, 900_000.0, 60_000.0),
    ],
    ids=[
        "the first is believed",
        "as ever",
        "slower: at once",
        "an outlier doubles it at most",
        "the decay time: half way down",
        "at the same instant: no step",
        "after a long rest: nearly all the way",
        "never more than a minute",
    ],
)
def test_latency_is_a_decaying_peak(
    latency_ms: float, idle_s: float, taken_ms: float, after_ms: float
) -> None:
    measured = 7 * SECOND
    now = measured + int(idle_s * SECOND)
    latency, _ = time_once(int(latency_ms * 1e6), measured, now, int(taken_ms * 1000))
    assert latency / 1e6 == pytest.approx(after_ms, rel=1e-6)


def test_many_quick_answers_pull_a_peak_down_by_time_and_not_by_number() -> None:
    reached = []
    for a_second in (10, 10_000):
        latency, measured = 100_000_000, SECOND
        for i in range(5 * a_second):
            latency, measured = time_once(latency, measured, SECOND + (i + 1) * SECOND // a_second, 1000)
        reached.append(latency / 1e6)
    assert reached == [pytest.approx(37.9, abs=0.5)] * 2


def test_the_table_of_limits_is_as_large_as_is_wished() -> None:
    for wished, keys in ((256, 256), (257, 512), (131_072, 131_072)):
        board = Board.create(1, limit_keys=wished)
        assert board.limits is not None
        assert board.limits.keys == keys
        board.close()
