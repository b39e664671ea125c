"""A relay that counts round trips."""

from __future__ import annotations

import socket

from tools.turns import counting_turns


def test_pieces_before_an_answer_are_one_turn_and_each_client_has_its_own() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, counting_turns(server.getsockname()[1]) as turns:
        host, port = turns.address.split(":")
        with socket.create_connection((host, int(port))) as client, server.accept()[0] as served:
            for word in (b"a", b"b"):
                client.sendall(word)
                assert served.recv(1) == word
            assert turns.count == 1
            served.sendall(b"answer")
            assert client.recv(6) == b"answer"
            client.sendall(b"c")
            assert served.recv(1) == b"c"
            assert turns.count == 2
            with socket.create_connection((host, int(port))) as other, server.accept()[0] as served_other:
                other.sendall(b"d")
                assert served_other.recv(1) == b"d"
                assert turns.count == 3


def test_who_leaves_is_gone_on_the_other_side_too() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, counting_turns(server.getsockname()[1]) as turns:
        host, port = turns.address.split(":")
        with socket.create_connection((host, int(port))) as client, server.accept()[0] as served:
            client.close()
            assert served.recv(1) == b""
