"""The recorder that stands in for memcached when real programs are asked for their places."""

import socket

from tools.ring_conformance import Recorder


def test_what_was_asked_is_remembered_with_the_socket() -> None:
    with Recorder([("127.0.0.1", 0), ("127.0.0.1", 0)]) as recorder:
        for number, key in ((0, b"first"), (1, b"second")):
            with socket.create_connection(recorder.addresses[number], timeout=5) as connection:
                connection.sendall(b"get " + key + b"\r\n")
                assert connection.recv(100) == b"END\r\n"
        assert recorder.owners == {"first": 0, "second": 1}
