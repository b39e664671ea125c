"""One connection between the keeper and a worker: bytes in and out, while other greenlets run.

gevent's own sockets try first and wait when nothing is there.  Between the keeper and workers questions
and answers take turns, so that nothing is there most of the time: waiting first spares a system call
and an exception for each of them.
"""

from __future__ import annotations

import socket as plain_socket
from typing import Any

import gevent

__all__ = ["Wire"]

READ, WRITE = 1, 2  # events of gevent's loop


class Wire:
    """A connected socket, which is this object's from now on.

    One greenlet at a time receives, and one sends.
    """

    __slots__ = ("_hub", "_is_more", "_reading", "_socket", "_writing")

    def __init__(self, sock: plain_socket.socket) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._hub: Any = gevent.get_hub()
        self._reading: Any = self._hub.loop.io(sock.fileno(), READ)
        self._writing: Any = None  # nearly everything goes out at once
        self._is_more = False

    def receive(self, most: int) -> bytes:
        """Return from one byte to *most* as soon as there are any, b"" at the end."""
        while True:
            if not self._is_more:
                self._hub.wait(self._reading)
            self._is_more = False
            try:
                data = self._socket.recv(most)
            except BlockingIOError:
                continue
            self._is_more = len(data) == most  # of a large body the rest is there already
            return data

    def send(self, data: bytes) -> None:
        """Send all of *data*."""
        sent = self._send(data)
        if sent < len(data):
            rest = memoryview(data)[sent:]
            while rest:
                self._await_room()
                rest = rest[self._send(rest) :]

    def _send(self, data: bytes | memoryview) -> int:
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0

    def _await_room(self) -> None:
        if self._writing is None:
            self._writing = self._hub.loop.io(self._socket.fileno(), WRITE)
        self._hub.wait(self._writing)

    def shut_down(self) -> None:
        """End both directions: who waits here meets the end."""
        self._socket.shutdown(plain_socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of the socket; nobody may be waiting."""
        for watcher in (self._reading, self._writing):
            if watcher is not None:
                watcher.close()
        self._socket.close()
