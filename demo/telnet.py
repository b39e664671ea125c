"""The admin port as a telnet user sees it: a line goes out, a reply comes back."""

import socket
from typing import Self

__all__ = ["Telnet"]

TIMEOUT_S = 60.0


class Telnet:
    """One connection to the admin port; closed by `close` or by the end of a `with` block."""

    def __init__(self, address: str, *, timeout_s: float = TIMEOUT_S) -> None:
        host, _, port = address.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=timeout_s)
        self._replies = self._socket.makefile("r", encoding="utf-8", newline="\r\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._replies.close()
        self._socket.close()

    def ask(self, line: str) -> list[str]:
        """Send *line*; return the reply's lines: up to `OK`, `ERROR: ...` or the `.` that ends a listing."""
        self._socket.sendall(f"{line}\r\n".encode())
        lines: list[str] = []
        for reply in self._replies:
            lines.append(reply.rstrip("\r\n"))
            if lines[-1] in ("OK", ".") or lines[-1].startswith("ERROR"):
                break
        return lines
