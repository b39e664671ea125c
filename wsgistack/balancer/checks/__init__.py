"""How a node is asked whether it works: a family, one file each.

A file defines NAME, HELP and

    prepare(check) -> Talk | Run

which is pure: probes.py opens the connection or starts the program, and keeps the limits of time and
bytes whatever a node does.  *check* is a HealthCheck, its settings are the pool's.
tests/contracts/test_checks.py holds every file to what is said at Talk and Run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import ModuleType

from wsgistack.balancer.model import HealthCheck
from wsgistack.registry import Family

__all__ = ["CHECKS", "Check", "Hear", "Run", "Talk"]

Hear = Callable[[bytes, bool], str | None]


@dataclass(frozen=True, slots=True)
class Talk:
    """Connect, say *send*, and let *hear* judge what comes.

    `hear(data, ended)` gets everything that arrived so far, first nothing at all, and whether the
    node closed; it returns "" if the check passed, what is wrong if it failed, or None to read
    on.  After `ended` it must decide.  When it has not by *most_bytes*, the check has failed.
    """

    hear: Hear
    send: bytes = b""
    most_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Run:
    """Run the program *arguments* (its absolute path first), never through a shell; status 0 passes.

    *environment* is all that it gets beside PATH.  A program that takes longer than the check's time
    is killed with its process group.
    """

    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Check:
    """One member of the family."""

    name: str
    help: str
    prepare: Callable[[HealthCheck], Talk | Run]


def _parts(module: ModuleType) -> Iterable[tuple[str, Check]]:
    yield module.NAME, Check(module.NAME, module.HELP, module.prepare)


CHECKS: Family[Check] = Family("health_check", __name__, _parts)
