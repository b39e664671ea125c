"""A node in the test's own process that does with each request what the test says, and keeps what it got."""

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Self

from tests.live.processes import Backend

__all__ = ["HALF", "HANG", "LONE", "LONE_CHUNKED", "RESET", "ScriptedNode", "answer"]

HANG = b"<hang>"  # never an answer
RESET = b"<reset>"  # close with a reset, nothing sent
HALF = b"<half>"  # half a head, then a reset
LONE = b"<lone>"  # a whole head whose body never comes: killed between the two
LONE_CHUNKED = b"<lone chunked>"


# What they send before the reset.
BROKEN = {
    RESET: b"",
    HALF: b"HTTP/1.1 200 OK\r\nContent-Le",
    LONE: b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
    LONE_CHUNKED: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
}


def answer(status: int = 200, body: bytes = b"", *fields: str) -> bytes:
    """Return one response with these field lines."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *fields, "", ""]
    return "\r\n".join(lines).encode() + body


class ScriptedNode:
    """Answers each request with `script(head)`: bytes to send, or HANG, RESET, HALF.

    `requests` are the heads in their order of arrival, all connections together.
    """

    def __init__(self, script: Callable[[bytes], bytes]) -> None:
        self.script = script
        self.requests: list[bytes] = []
        self.connections = 0
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # ends the accept that waits
        self._listener.close()

    @property
    def backend(self) -> Backend:
        """The same as `site` wants it."""
        named = Backend()
        named.address = self.address
        return named

    def count(self, word: bytes = b"") -> int:
        """Return how many requests with that word in their head came."""
        return sum(word in head for head in list(self.requests))

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        data = b""
        with connection, suppress(OSError):
            while more := connection.recv(65536):
                data += more
                while b"\r\n\r\n" in data:
                    head, _, data = data.partition(b"\r\n\r\n")
                    data = self._skip_body(connection, head, data)
                    with self._lock:
                        self.requests.append(head)
                        said = self.script(head)
                    if not self._act(connection, said):
                        return

    def _skip_body(self, connection: socket.socket, head: bytes, data: bytes) -> bytes:
        lines = [line.lower() for line in head.split(b"\r\n")]
        length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
        while len(data) < length:
            data += connection.recv(65536)
        return data[length:]

    def _act(self, connection: socket.socket, said: bytes) -> bool:
        if said == HANG:
            self._over.wait(60)
            return False
        if said in BROKEN:
            connection.sendall(BROKEN[said])
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        connection.sendall(said)
        return True
