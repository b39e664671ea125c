"""What a command is, and what its handler can reach."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from wsgistack.balancer.address_lists import AddressLists
from wsgistack.balancer.caches import Caches
from wsgistack.balancer.language.grammar import Line
from wsgistack.balancer.language.replies import Reply
from wsgistack.balancer.language.session import Session
from wsgistack.balancer.limits import Limits
from wsgistack.balancer.outside import Files, ProcessCounts, Stats
from wsgistack.balancer.pools import Pools
from wsgistack.balancer.services import Services
from wsgistack.settings import Value

__all__ = ["Command", "Desk", "Estate"]


@dataclass(slots=True)
class Estate:
    """Everything that commands read and change; now and the session come with each line.

    *started_at* in seconds since the epoch.  *last_proc* is what `proc` saw last, for its deltas.
    """

    pools: Pools
    limits: Limits
    caches: Caches
    lists: AddressLists
    services: Services
    server: dict[str, Value]
    stats: Stats
    files: Files
    started_at: float
    last_proc: ProcessCounts = field(
        default_factory=lambda: ProcessCounts(pid=0, utime=0.0, stime=0.0, reqs=0)
    )


@dataclass(frozen=True, slots=True)
class Desk:
    """What one handler works with; *now* in seconds since the epoch."""

    estate: Estate
    session: Session
    now: float


@dataclass(frozen=True, slots=True)
class Command:
    """One command word.

    *run* gets the desk and the line and returns the reply; it raises ConfigurationError to
    refuse, before it changed anything.  *example*: a line that works, "" for a command that never
    does.  *reads*: it changes nothing that anybody else sees, so a read-only session may give it.
    """

    word: str
    usage: str
    help: str
    run: Callable[[Desk, Line], Reply]
    example: str = field(kw_only=True)
    reads: bool = field(kw_only=True)
