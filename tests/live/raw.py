"""Raw sockets for the HTTP rules: a node that answers scripted bytes and keeps what it got."""

import socket
import threading
from contextlib import suppress

__all__ = ["RawNode", "exchange"]

TIMEOUT_S = 10.0


class RawNode:
    """A node that answers each request head it sees with `answer`, then closes if `close` is set."""

    def __init__(self) -> None:
        self.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        self.close = False
        self.reset_first = 0  # so many requests are answered by closing without a byte
        self.received: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        """Stop listening."""
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        data = b""
        with connection, suppress(OSError):
            while more := connection.recv(65536):
                data += more
                while b"\r\n\r\n" in data:
                    head, _, data = data.partition(b"\r\n\r\n")
                    length = next(
                        (
                            int(line[15:])
                            for line in head.split(b"\r\n")
                            if line.lower()[:15] == b"content-length:"
                        ),
                        0,
                    )
                    while len(data) < length:
                        data += connection.recv(65536)
                    self.received.append(head + b"\r\n\r\n" + data[:length])
                    data = data[length:]
                    if self.reset_first:
                        self.reset_first -= 1
                        return
                    connection.sendall(self.answer)
                    if self.close:
                        return


def exchange(address: str, data: bytes, *, finish: bool = False, until: bytes = b"") -> bytes:
    """Send *data*, return all that comes until the end (or until *until* has come)."""
    host, _, port = address.rpartition(":")
    got = b""
    with socket.create_connection((host, int(port)), timeout=TIMEOUT_S) as connection:
        with suppress(OSError):
            connection.sendall(data)
            if finish:
                connection.shutdown(socket.SHUT_WR)
        with suppress(ConnectionResetError):
            while more := connection.recv(65536):
                got += more
                if until and until in got:
                    break
    return got
