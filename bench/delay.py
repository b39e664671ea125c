"""A way to a server that takes time: what is sent arrives later, in order, as over a long cable."""

from __future__ import annotations

import queue
import socket
import sys
import threading
import time
from contextlib import suppress

__all__ = ["main"]

PORTION = 262_144


def _carry(source: socket.socket, sink: socket.socket, seconds: float) -> None:
    """Hand on what comes, *seconds* later."""
    under_way: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()

    def deliver() -> None:
        while True:
            due_at, data = under_way.get()
            left_s = due_at - time.monotonic()
            if left_s > 0:
                time.sleep(left_s)
            with suppress(OSError):
                if not data:
                    sink.shutdown(socket.SHUT_WR)
                    return
                sink.sendall(data)

    threading.Thread(target=deliver, daemon=True).start()
    data = b"-"
    while data:
        data = b""
        with suppress(OSError):
            data = source.recv(PORTION)
        under_way.put((time.monotonic() + seconds, data))


def main(port: int, seconds: float) -> None:
    """Listen, say on which port, and connect each client to *port* of 127.0.0.1 through the delay."""
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    while True:
        client, _ = listener.accept()
        server = socket.create_connection(("127.0.0.1", port))
        for one in (client, server):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for way in ((client, server), (server, client)):
            threading.Thread(target=_carry, args=(*way, seconds), daemon=True).start()


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
