"""A relay before a server that counts how often clients asked and waited: their round trips."""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

__all__ = ["Turns", "counting_turns"]


@dataclass(slots=True)
class Turns:
    """A relay at *address*; *count*: how often a client spoke that had been answered, or was new.

    What a client sends in several pieces before it is answered is one turn.
    """

    address: str
    count: int = 0
    _asking: set[socket.socket] = field(default_factory=set)

    def spoke(self, client: socket.socket) -> None:
        """Note that a client sent something."""
        if client not in self._asking:
            self._asking.add(client)
            self.count += 1

    def answered(self, client: socket.socket) -> None:
        """Note that the server sent something to a client."""
        self._asking.discard(client)


@contextmanager
def counting_turns(port: int) -> Iterator[Turns]:
    """Yield a relay to the server at *port* of this machine; all of it ends with the block."""
    ending, end = socket.socketpair()
    with socket.create_server(("127.0.0.1", 0)) as listener, ending, end:
        turns = Turns(f"127.0.0.1:{listener.getsockname()[1]}")
        thread = threading.Thread(target=_relay, args=(listener, end, port, turns))
        thread.start()
        try:
            yield turns
        finally:
            ending.close()
            thread.join()


def _relay(listener: socket.socket, end: socket.socket, port: int, turns: Turns) -> None:
    others: dict[socket.socket, socket.socket] = {}
    clients: set[socket.socket] = set()
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        selector.register(end, selectors.EVENT_READ)
        while True:
            ready = [key.fileobj for key, _ in selector.select()]
            if end in ready:
                break
            if listener in ready:
                client, server = listener.accept()[0], socket.create_connection(("127.0.0.1", port))
                clients.add(client)
                others |= {client: server, server: client}
                selector.register(client, selectors.EVENT_READ)
                selector.register(server, selectors.EVENT_READ)
            for one in [one for one in ready if one in others]:
                assert isinstance(one, socket.socket)
                data = _receive(one)
                if one in clients and data:
                    turns.spoke(one)
                elif data:
                    turns.answered(others[one])
                else:
                    selector.unregister(one)  # the rest of the pair ends with the block
                    _end(others[one])
                    continue
                _send(others[one], data)
    for one in others:
        one.close()


def _receive(one: socket.socket) -> bytes:
    try:
        return one.recv(65536)
    except ConnectionError:
        return b""


def _send(one: socket.socket, data: bytes) -> None:
    with suppress(OSError):  # it has left
        one.sendall(data)


def _end(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_WR)
