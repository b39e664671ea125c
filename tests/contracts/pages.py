"""What a page cache does, as stories that every edge can be asked to play.

A Step is one request of a client: what it says, what the origin answers *if it is asked* (None: it
must not be), and what the client gets.  The clock moves only by `wait`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["BEFORE", "DATE", "GONE", "LATER", "NOW", "TWO", "Answer", "Fails", "Step", "Story", "cc"]

NOW = 784111777  # Sun, 06 Nov 1994 08:49:37 GMT
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
LATER = "Sun, 06 Nov 1994 08:50:37 GMT"  # a minute
BEFORE = "Sun, 06 Nov 1994 07:09:37 GMT"  # 6,000 seconds


@dataclass(frozen=True, slots=True)
class Answer:
    """What the origin answers."""

    fields: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b"one"
    status: int = 200


class Fails:
    """The origin raises, or closes the connection."""


@dataclass(frozen=True, slots=True)
class Step:
    """One request; *asked*: fields that the origin must have got, None for one that it must not have."""

    origin: Answer | Fails | None
    says: Mapping[str, str] = field(default_factory=dict)
    method: str = "GET"
    path: str = "/page"
    wait: float = 0.0
    status: int = 200
    body: bytes | None = b"one"
    has: Mapping[str, str] = field(default_factory=dict)
    lacks: tuple[str, ...] = ()
    asked: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Story:
    """Steps on an empty cache of the profile `rfc9111`; *why* is where it is written."""

    name: str
    why: str
    steps: tuple[Step, ...]


def cc(control: str, body: bytes = b"one", status: int = 200, **fields: str) -> Answer:
    """Return an answer with Cache-Control and other fields, in which `_` stands for `-`."""
    others = {name.replace("_", "-"): value for name, value in fields.items()}
    return Answer({"Cache-Control": control, **others}, body, status)


TWO = cc("max-age=60", b"two")
GONE = cc("no-store", b"gone", 503)
