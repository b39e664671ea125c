"""Which node of a ring owns a key: a family, one file each, most of them another program's rule.

A file defines NAME, HELP and

    build(members, pause) -> Placing

*members*: at least one, each of another address, in the order in which the other program lists
them.  *pause()* is called after each bit of work of less than a millisecond, so that whoever
builds can let others run.  Pure otherwise: the same members give the same places everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import NamedTuple, Protocol

from wsgistack.registry import Family

__all__ = ["DEFAULT_PORT", "LAYOUTS", "Layout", "Member", "Placing"]

DEFAULT_PORT = 11211


class Member(NamedTuple):
    """A node as a ring knows it.  *port* 0: *host* is the path of a Unix socket."""

    host: str
    port: int = DEFAULT_PORT
    weight: int = 1

    @property
    def address(self) -> str:
        """`host:port`, or the path of the socket."""
        return f"{self.host}:{self.port}" if self.port else self.host


class Placing(Protocol):
    """Immutable; owners are given as their number among the members."""

    def place(self, key: bytes) -> int:
        """Return the owner."""
        ...

    def places(self, key: bytes, most: int) -> list[int]:
        """Return the first *most* distinct owners in the order in which they step in; the owner first."""
        ...

    def place_many(self, keys: Iterable[bytes]) -> list[int]:
        """Return the owner of each key."""
        ...


@dataclass(frozen=True, slots=True)
class Layout:
    """One member of the family."""

    name: str
    help: str
    build: Callable[[Sequence[Member], Callable[[], None]], Placing]


def _parts(module: ModuleType) -> Iterable[tuple[str, Layout]]:
    yield module.NAME, Layout(module.NAME, module.HELP, module.build)


LAYOUTS: Family[Layout] = Family("ring layout", __name__, _parts)
