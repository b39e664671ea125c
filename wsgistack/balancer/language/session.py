"""The line protocol of the admin port over bytes, and what a connection remembers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["LONGEST_LINE", "LineBuffer", "Overlong", "Session"]

LONGEST_LINE = 8192  # bytes, without the line's end

# Telnet's own commands (RFC 854): a real client sends some on Ctrl-C.
TELNET = re.compile(rb"\xff(?:[\xfb-\xfe].|[\xf0-\xfa])", re.DOTALL)


@dataclass(slots=True)
class Session:
    """What one connection, or one file, remembers between its lines.

    *peer* is who is at the other end.  *last_created* is what SET means without a name.  *verbose*:
    say OK.  *environment*: where a file's `$NAME` are looked up; never given to a connection.
    *readonly*: only commands that change nothing.
    """

    source: Literal["file", "telnet", "http"] = "telnet"
    last_created: str | None = None
    verbose: bool = True
    environment: Mapping[str, str] | None = None
    readonly: bool = False
    peer: str = ""

    @classmethod
    def of_file(cls, environment: Mapping[str, str]) -> Session:
        """Return the session of a configuration file: silent, with variables."""
        return cls(source="file", verbose=False, environment=environment)


@dataclass(frozen=True, slots=True)
class Overlong:
    """A line grew beyond LONGEST_LINE: answer `ERROR: ` and *text*, then close."""

    text: str = f"a line has at most {LONGEST_LINE} bytes"


@dataclass(slots=True)
class LineBuffer:
    """Cuts what arrives into lines; holds at most one line of memory.

    >>> lines = LineBuffer()
    >>> lines.feed(b"uptime\\r\\nnod")
    ['uptime']
    >>> lines.feed(b"es\\n")
    ['nodes']
    """

    _rest: bytes = b""
    _overlong: bool = field(default=False)

    def feed(self, data: bytes) -> list[str | Overlong]:
        """Return the lines that *data* completed, in order, without their CRLF or LF.

        After an Overlong everything is dropped: its text is to be sent and the connection closed.
        """
        if self._overlong:
            return []
        *whole, self._rest = (self._rest + data).split(b"\n")
        found: list[str | Overlong] = []
        for line in whole:
            # A bare CR travels as CR NUL over telnet (RFC 854): a piped CR LF comes as CR NUL CR LF.
            line = line.removesuffix(b"\r").removesuffix(b"\r\0")
            if len(line) > LONGEST_LINE:
                return [*found, self._give_up()]
            found.append(_decode(line))
        if len(self._rest) > LONGEST_LINE + 3:  # the CR NUL CR of a longest line may be there already
            found.append(self._give_up())
        return found

    def _give_up(self) -> Overlong:
        self._overlong = True
        self._rest = b""
        return Overlong()


def _decode(line: bytes) -> str:
    line = TELNET.sub(b"", line)
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("latin-1")
