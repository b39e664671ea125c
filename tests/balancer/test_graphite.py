"""Pictures sent to Graphite, and a Graphite that is not there."""

import socket
import time
from collections.abc import Callable

from tests.balancer.pictures import make_picture
from wsgistack.balancer.events import Log
from wsgistack.balancer.graphite import Graphite

PATIENCE_S = 20.0


def eventually(is_so: Callable[[], object]) -> None:
    """Return once *is_so()*; the thread has its own time."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def receive(listener: socket.socket) -> list[str]:
    """Return the lines of the next push."""
    connection, _ = listener.accept()
    with connection:
        return connection.makefile("r").read().splitlines()


def test_a_picture_arrives_as_lines_with_the_prefix() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE_S)
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        assert Graphite(Log(print)).offer(make_picture(), address=address, prefix="prod.lb1")
        lines = receive(listener)
    names = [line.split(" ")[0] for line in lines]
    assert "prod.lb1.wsgistack_node_handed_total.node.127_0_0_1_8001.pool.mypool" in names
    assert "prod.lb1.wsgistack_snapshot_version" in names
    assert all(len(line.split(" ")) == 3 for line in lines)


def test_one_that_is_down_is_logged_once_and_once_when_it_is_back() -> None:
    logged: list[str] = []
    graphite = Graphite(Log(logged.append))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    for _ in range(3):
        eventually(lambda: graphite.offer(make_picture(), address=address, prefix=""))
    graphite.wait()
    with socket.create_server(("127.0.0.1", int(address.partition(":")[2])), backlog=5) as listener:
        listener.settimeout(PATIENCE_S)
        assert graphite.offer(make_picture(), address=address, prefix="")
        receive(listener)
        graphite.wait()
    events = [line.split(" ")[2] for line in logged]
    assert events == ["graphite_down", "graphite_up"]


def test_while_one_hangs_the_next_are_dropped() -> None:
    graphite = Graphite(Log(print))
    # A listener whose queue is full: connecting to it takes until the time limit.
    with (
        socket.create_server(("127.0.0.1", 0), backlog=0) as listener,
        socket.socket() as first,
        socket.socket() as second,
    ):
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        for sock in (first, second):
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
        began = time.monotonic()
        offered = [graphite.offer(make_picture(), address=address, prefix="") for _ in range(20)]
        assert time.monotonic() - began < 20.0
        assert offered.count(False) >= 17
