"""The scoreboard: sums over the workers, gauges of the dead, counters that can be reset."""

import os

import pytest

from wsgistack.balancer.plane.board import Board


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


@pytest.mark.parametrize("slot", [-1, 1024])
def test_a_slot_outside_of_the_board_is_refused(slot: int) -> None:
    board = Board.create(1)
    with pytest.raises(IndexError, match="is not below 1024"):
        board.node(slot)
    board.close()


def test_something_else_is_not_taken_for_a_board() -> None:
    fd = os.memfd_create("not-a-board")
    os.ftruncate(fd, 8192)
    with pytest.raises(ValueError, match="wrong magic"):
        Board.attach(fd)
    os.close(fd)
