"""Changes made while the balancer runs, in the order in which they were made.

A journal is kept in memory, and in a file if there is one: a line each, on disk before the
command answers OK, read again at the next start.

    2026-11-25T20:11:00.123Z 127.0.0.1:40412 POOL mypool ADD 10.0.0.9:8000

A line whose command is a comment is a mark.  `# saving DIGEST` is written before a configuration
file is replaced and `# saved` after it; what stands before the last valid mark is in that file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

__all__ = ["Entry", "digest", "find_pending", "parse_journal", "saved", "saving"]

SAVING, SAVED = "# saving", "# saved"


@dataclass(frozen=True, slots=True)
class Entry:
    """A change: *at* in epoch seconds, *peer* who asked for it, *line* the command."""

    at: float
    peer: str
    line: str

    def __str__(self) -> str:
        """Return its line of the file."""
        stamp = datetime.fromtimestamp(self.at, UTC).isoformat(timespec="milliseconds")
        return f"{stamp.replace('+00:00', 'Z')} {self.peer} {self.line}"


def parse_journal(data: bytes) -> tuple[list[Entry], list[tuple[int, str]], bytes]:
    """Return the entries of a journal's file, the lines that are none, and its torn end.

    The end is torn when the last line has none of its own: it was never acknowledged.
    """
    *lines, torn = data.split(b"\n")
    entries = []
    problems = []
    for number, raw in enumerate(lines, start=1):
        text = raw.decode("utf-8", "replace")
        stamp, _, rest = text.partition(" ")
        peer, _, line = rest.partition(" ")
        try:
            at = datetime.fromisoformat(stamp).timestamp()
        except ValueError:
            at = None
        if at is None or not line.strip():
            problems.append((number, text))
        else:
            entries.append(Entry(at, peer, line))
    return entries, problems, torn


def digest(text: str) -> str:
    """Return what a mark says of a configuration's text."""
    return hashlib.sha256(text.encode()).hexdigest()


def saving(text: str) -> str:
    """Return the mark that is made before *text* becomes the configuration file."""
    return f"{SAVING} {digest(text)}"


def saved() -> str:
    """Return the mark that is made when it has become that."""
    return SAVED


def find_pending(entries: Iterable[Entry], text: str) -> list[Entry]:
    """Return the changes that the configuration file, which holds *text*, does not know of.

    When the last save was cut short, the file itself tells whether it was replaced.
    """
    pending: list[Entry] = []
    held: list[Entry] = []  # before a `saving` of which nobody knows yet how it ended
    mark = saving(text)
    for entry in entries:
        if entry.line.startswith(SAVED):
            pending, held = [], []
        elif entry.line.startswith(SAVING):
            held, pending = [*held, *pending], []
            if entry.line == mark:
                held = []
        elif not entry.line.startswith("#"):
            pending.append(entry)
    return [*held, *pending]
