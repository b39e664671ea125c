"""Where names lead: from the records of an answer to the nodes of a pool, with care.

An answer replaces the one before as a whole, but a name that suddenly leads to few of its nodes
is followed by halves: a name server that has just lost most of its records is more often broken
than right, and the next answer comes soon.

>>> now = (Record("10.0.0.1"), Record("10.0.0.2"), Record("10.0.0.3"), Record("10.0.0.4"))
>>> followed = follow(now, (Record("10.0.0.1"),), most=256)
>>> [record.host for record in followed.records], followed.kept
(['10.0.0.1', '10.0.0.2'], 1)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = [
    "HEAVIEST",
    "MOST_IN_FLIGHT",
    "MOST_RECORDS",
    "Followed",
    "Record",
    "Service",
    "follow",
    "make_records",
    "show_record",
]

HEAVIEST = 256  # weight of a node, as HAProxy
MOST_IN_FLIGHT = 1_000_000  # requests of a node
MOST_RECORDS = 256  # of one name: the scoreboard has 1024 rows for all pools together


@dataclass(frozen=True, slots=True)
class Record:
    """One node that a name leads to.

    *host* is numeric.  *port* 0 and *weight* 0: the record says none (A, AAAA).  *backup*: it is
    not of the first priority.
    """

    host: str
    port: int = 0
    weight: int = 0
    backup: bool = False


def show_record(record: Record) -> str:
    """Return it for a reader: its address, and of SRV what else it says.

    >>> show_record(Record("10.0.0.1", 8001, 5, True)), show_record(Record("::1"))
    ('10.0.0.1:8001 weight=5 backup', '::1')
    """
    if not record.port:
        return record.host
    host = f"[{record.host}]" if ":" in record.host else record.host
    return f"{host}:{record.port} weight={record.weight}" + (" backup" if record.backup else "")


@dataclass(frozen=True, slots=True)
class Service:
    """An SRV record whose target was looked up too: RFC 2782; a smaller *priority* comes first."""

    priority: int
    weight: int
    port: int
    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Followed:
    """What an answer comes to: *records* hold from now on.

    *kept* are those that the answer left out and that stay until the next one, *dropped* those of
    the answer that there is no room for.
    """

    records: tuple[Record, ...]
    kept: int = 0
    dropped: int = 0


def make_records(services: Iterable[Service]) -> tuple[Record, ...]:
    """Return the records of SRV answers: the first priority serves, all others are backups.

    Weights keep their proportions; 0 becomes the smallest, RFC 2782's "very small chance".
    """
    wanted = [service for service in services if service.hosts and service.port]
    if not wanted:
        return ()
    first = min(service.priority for service in wanted)
    heaviest = max(service.weight for service in wanted)
    return tuple(
        Record(host, service.port, _scale(service.weight, heaviest), service.priority != first)
        for service in wanted
        for host in service.hosts
    )


def _scale(weight: int, heaviest: int) -> int:
    if heaviest <= HEAVIEST:
        return max(weight, 1)
    return max(round(weight * HEAVIEST / heaviest), 1)


def follow(now: Sequence[Record], answer: Iterable[Record], *, most: int = MOST_RECORDS) -> Followed:
    """Return what holds after *answer*, which is not empty, where *now* held before.

    Nodes keep their order; of more than *most* records those that hold already are preferred.
    """
    fresh = {(record.host, record.port): record for record in answer}
    staying = [fresh.pop(place) for place in [(r.host, r.port) for r in now] if place in fresh]
    coming = [fresh[place] for place in sorted(fresh)]
    chosen = [*staying, *coming][:most]
    dropped = len(staying) + len(coming) - len(chosen)
    places = {(record.host, record.port) for record in chosen}
    leaving = [record for record in now if (record.host, record.port) not in places]
    # As many may leave as come, so that a move to other machines is followed at once.
    may_leave = max(len(coming), (len(now) + 1) // 2)
    kept = leaving[: max(len(leaving) - may_leave, 0)]
    return Followed(_in_order(now, chosen, kept), len(kept), dropped)


def _in_order(now: Sequence[Record], chosen: Sequence[Record], kept: Sequence[Record]) -> tuple[Record, ...]:
    by_place = {(record.host, record.port): record for record in [*chosen, *kept]}
    before = [by_place.pop(place) for place in [(r.host, r.port) for r in now] if place in by_place]
    return (*before, *by_place.values())
