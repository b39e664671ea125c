"""What a successor makes of what it is given, where that is of another version."""

import os
import socket

from tests.balancer.stage import make_counts
from wsgistack.balancer.channel import Channel
from wsgistack.balancer.events import Log
from wsgistack.balancer.operations import Sizes
from wsgistack.balancer.plane.board import Board
from wsgistack.balancer.succession import Succession
from wsgistack.balancer.upgrade import Inheritance


def test_a_scoreboard_of_another_version_is_forgotten_and_what_was_told_is_not() -> None:
    board = Board.create(1)
    given = os.dup(board.fd)
    os.ftruncate(given, os.fstat(given).st_size + 4096)
    ours, theirs = socket.socketpair()
    channel = Channel.over(ours.detach())
    lines: list[str] = []
    state = {"counted": {"7": {"requests": 3, "responsecodes": {"200": 3}}}}

    succession = Succession(
        Inheritance(channel, board=given, state=state), Log(lines.append, clock=lambda: 0.0)
    )

    assert succession.pasts.nodes.add(7, make_counts())["requests"] == 3
    assert succession.pasts.nodes.add(8, make_counts()) == make_counts()
    assert [line.split()[2] for line in lines] == ["counters_forgotten"]
    channel.close()
    theirs.close()
    board.close()


def test_a_table_of_limits_goes_on_as_large_as_it_is() -> None:
    board = Board.create(1, limit_keys=256)
    assert board.limits is not None
    ours, theirs = socket.socketpair()
    channel = Channel.over(ours.detach())
    lines: list[str] = []
    inheritance = Inheritance(channel, board=os.dup(board.fd), limits=os.dup(board.limits.fd))
    succession = Succession(inheritance, Log(lines.append, clock=lambda: 0.0))
    successor = succession.make_board(Sizes(workers=1, cores=1, ready_bytes=0, limit_keys=1024))
    assert successor.limits is not None
    assert successor.limits.keys == 256
    assert [line.split(" ", 2)[2] for line in lines] == [
        'limit_keys_kept keys=256 until="it is started again"'
    ]
    channel.close()
    theirs.close()
    successor.close()
    board.close()
