"""The demo's telnet client reads one reply of the admin port, whatever its shape."""

import socket
from collections.abc import Iterator
from threading import Thread

import pytest

from demo.telnet import Telnet

REPLIES = {
    b"pool mypool add 127.0.0.1:1": b"OK\r\n",
    b"frob": b"ERROR: unknown command: frob\r\n",
    b"show pool mypool": b"127.0.0.1:1 12\r\n127.0.0.1:2 11\r\n.\r\n",
    b"shutdown": b"",
}


def answer(listener: socket.socket) -> None:
    """Answer the lines of one connection from REPLIES; an empty reply closes it."""
    connection, _ = listener.accept()
    with connection, connection.makefile("rb") as lines:
        for line in lines:
            reply = REPLIES[line.rstrip()]
            if not reply:
                return
            connection.sendall(reply)


@pytest.fixture
def address() -> Iterator[str]:
    """The address of an admin port that knows REPLIES."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=answer, args=[listener])
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


def test_every_shape_of_reply_is_read_to_its_end(address: str) -> None:
    with Telnet(address) as telnet:
        assert telnet.ask("pool mypool add 127.0.0.1:1") == ["OK"]
        assert telnet.ask("show pool mypool") == ["127.0.0.1:1 12", "127.0.0.1:2 11", "."]
        assert telnet.ask("frob") == ["ERROR: unknown command: frob"]
        assert telnet.ask("shutdown") == []
