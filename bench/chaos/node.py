"""A node that fails when it is told to: `python -m bench.chaos.node PORT CONTROL NAME LOG`.

`GET` and `POST` answer the node's name after DELAY_S; a POST's X-Id goes to LOG before that.
One word on the control port, and a line end, changes how it behaves: see MODES.
"""

from __future__ import annotations

import os
import struct
import sys
from contextlib import suppress

import gevent
from gevent import socket
from gevent.server import StreamServer

__all__ = ["DELAY_S", "MODES", "SLOWER"]

DELAY_S = 0.02  # so that 32 clients ask for about 1,500 requests a second, on two cores with all else
SLOWER = 10
MODES = ("ok", "refuse", "half", "error", "slow")
RESET = struct.pack("ii", 1, 0)


class Node:
    """One node; *log* is a descriptor to which the ids of POSTs are appended."""

    def __init__(self, port: int, name: str, log: int) -> None:
        self.mode = "ok"
        self._name = name.encode()
        self._log = log
        self._port = port
        self._server = self._listen()

    def _listen(self) -> StreamServer:
        server = StreamServer(("127.0.0.1", self._port), self._serve, backlog=1024)
        server.start()
        return server

    def become(self, mode: str) -> None:
        """Behave like that from the next request on."""
        if mode not in MODES:
            raise ValueError(f"{mode!r} is not one of {', '.join(MODES)}")
        if mode == "refuse":
            self._server.stop(timeout=0)
        elif self.mode == "refuse":
            self._server = self._listen()
        self.mode = mode

    def _serve(self, connection: socket.socket, _: object) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        held = b""
        with suppress(OSError):
            while True:
                while b"\r\n\r\n" not in held:
                    data = connection.recv(65536)
                    if not data:
                        return
                    held += data
                head, _, held = held.partition(b"\r\n\r\n")
                held = self._read_body(connection, head, held)
                if not self._answer(connection, head):
                    return

    def _read_body(self, connection: socket.socket, head: bytes, held: bytes) -> bytes:
        length = int(_field(head, b"content-length") or 0)
        while len(held) < length:
            held += connection.recv(65536)
        return held[length:]

    def _answer(self, connection: socket.socket, head: bytes) -> bool:
        is_check = b" /health " in head.partition(b"\r\n")[0]
        if head.startswith(b"POST"):
            os.write(self._log, (_field(head, b"x-id") or b"none") + b"\n")
        if self.mode in ("half", "refuse") and not is_check:
            if self.mode == "half":
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Le")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            return False
        if not is_check:
            gevent.sleep(DELAY_S * (SLOWER if self.mode == "slow" else 1))
        status = b"500 Oh" if self.mode == "error" and not is_check else b"200 OK"
        head = b"HTTP/1.1 %s\r\nX-Node: %s\r\nContent-Length: %d\r\n\r\n"
        connection.sendall(head % (status, self._name, len(self._name)) + self._name)
        return True


def _field(head: bytes, name: bytes) -> bytes | None:
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip()
    return None


def main() -> None:
    """Run until it is killed."""
    port, control, name, path = sys.argv[1:5]
    log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    node = Node(int(port), name, log)

    def obey(connection: socket.socket, _: object) -> None:
        node.become(connection.recv(100).decode().strip())
        connection.sendall(b"ok\n")

    StreamServer(("127.0.0.1", int(control)), obey).serve_forever()


if __name__ == "__main__":
    main()
